#pragma once
// The inner loops of fused attention on padded fp32 tiles, compiled once per instruction set. As in
// kernels.h: plain types only, nothing of the standard library.
//
// A tile lies in scratch memory whose rows are padded to `rows` and `columns` of the table, so that
// products never meet a ragged edge. Element types exist only in pack() and unpack(); a table for
// a processor with bf16 matrix units replaces the products and may keep its own form in the tiles.
//
// Numbers: contraction is on. Bits are fixed for one table and differ between tables.

#include "ops/cpu/isa/kernels.h"
#include "ops/primitive/target.h"

namespace reef::ops::cpu {

/// The most columns of a score tile.
inline constexpr Index kMostColumns = 192;
/// Room that every row of a tile needs past its padded columns.
inline constexpr Index kTileSlack = 16;

using primitive::Element;  // kF32 and kBF16 are served

/// Scores of some queries against some keys, (rows, columns). Row i sees the columns
/// [0, edge + i): the causal diagonal. Without one, edge is `columns`.
struct ScoreTile {
  Index rows, columns, edge;
};

/// Dropout of the weights (ops/catalog/draw.h): element (i, j) of a tile is number
/// first + i * row_stride + j of its sample.
struct WeightDropout {
  std::uint32_t key[2];
  float probability;
  std::uint64_t sample, first, row_stride;
};

struct AttentionKernels {
  const char* name;
  Index rows, columns;  ///< units of padding: a product is computed in blocks of rows x columns

  /// to = from * factor as fp32; columns [width, padded width) and rows up to the padding are zero.
  void (*pack)(Element element, Index count, Index width, const void* from, Index stride,
               float factor, float* to, Index to_stride);
  /// The same, transposed: `to` is (width, count), its columns padded with zeros.
  void (*pack_transposed)(Element element, Index count, Index width, const void* from, Index stride,
                          float* to, Index to_stride);
  /// to = row i of `from` times factor[i], rounded to the element type.
  void (*unpack)(Element element, Index count, Index width, const float* from, Index from_stride,
                 const float* factor, void* to, Index stride);
  /// out[i] = dot(row i of a, row i of b).
  void (*row_dot)(Element element, Index count, Index width, const void* a, Index a_stride,
                  const void* b, Index b_stride, float* out);

  /// s = a b, with a (rows, width), b (width, columns). Blocks that no row sees stay as they are.
  void (*scores)(const ScoreTile& tile, Index width, const float* a, Index a_stride, const float* b,
                 Index b_stride, float* s, Index s_stride);
  /// o = keep[i] o + s b over what row i sees; `keep` null: 1. b (columns, width), o (rows, width).
  void (*add_to_queries)(const ScoreTile& tile, Index width, const float* s, Index s_stride,
                         const float* b, Index b_stride, const float* keep, float* o,
                         Index o_stride);
  /// o += s^T b, b (rows, width), o (columns, width).
  void (*add_to_keys)(const ScoreTile& tile, Index width, const float* s, Index s_stride,
                      const float* b, Index b_stride, float* o, Index o_stride);

  /// One step of the online softmax (base 2). Scores become exp2(s - maximum), times their dropout;
  /// `maximum` and `sum` of each row advance and `keep` is what the row's older weights shrink by.
  /// `bias` (columns), 0 or -infinity, may be null. A row's first rows-1 unseen columns become
  /// zero. `keep` is written for a multiple of 16 rows.
  void (*softmax)(const ScoreTile& tile, const float* bias, const WeightDropout* dropout, float* s,
                  Index s_stride, float* maximum, float* sum, float* keep);
  /// With p = exp2(s - log_sum_exp) and d its dropout: s = p d, dp = p (dp d - delta).
  void (*softmax_grad)(const ScoreTile& tile, const float* bias, const WeightDropout* dropout,
                       const float* log_sum_exp, const float* delta, float* s, float* dp,
                       Index stride);
};

/// The table of the best instruction set that this processor has; the same one for the whole
/// process.
const AttentionKernels& attention_kernels();

namespace v2 {
extern const AttentionKernels kAttentionKernels;
}
namespace v3 {
extern const AttentionKernels kAttentionKernels;
}
namespace v4 {
extern const AttentionKernels kAttentionKernels;
}

}  // namespace reef::ops::cpu
