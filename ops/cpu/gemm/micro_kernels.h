#pragma once
// The inner loops of the matrix product on raw pointers, compiled once per instruction set. Plain
// types only, for the reason given in cpu/isa/kernels.h.
//
// A panel holds the elements that one micro-kernel reads, in the order in which it reads them: of
// the left operand `rows` rows, of the right one `columns` columns, for each k in turn. A last
// panel that is not full is padded with zeros, so that micro-kernels have no ragged loads.
//
// Numbers: an element is one chain of multiply-adds over k, from zero, which is then added to what
// the result holds. The x86-64-v3 and v4 kernels fuse and give the same bits; v2 has no fused
// multiply-add and does not.

#include <cstdint>

namespace reef::ops::cpu {

using Index = std::int64_t;

/// Elements as they lie in memory: f32, or bf16 (stored as 16-bit patterns).
struct ConstElements {
  const void* data = nullptr;  ///< null: absent
  bool is_bf16 = false;
};
struct Elements {
  void* data = nullptr;  ///< null: absent
  bool is_bf16 = false;
};

/// Where the `lanes` (rows of the left operand, columns of the right one) of a block lie.
struct PanelSource {
  ConstElements from;
  Index lane_stride, inner_stride;
  Index lanes, inner;
};

enum class Nonlinearity : std::uint8_t { kNone, kGelu, kSilu, kRelu };

/// What happens to the sums of a block before they are a result:
/// out = residual + nonlinearity(sums + bias), and pre_activation = sums + bias.
/// All parts begin at the block's first element; absent ones are null.
struct Finish {
  const float* sums;
  Index sums_stride;
  ConstElements bias;  ///< one for each column
  Nonlinearity nonlinearity;
  Elements pre_activation;
  Index pre_activation_stride;
  ConstElements residual;
  Index residual_stride;
  Elements out;  ///< may be the sums themselves
  Index out_stride;
};

/// Rows of the left operand, as micro-kernels read them: panels, or elements where they lie, if
/// either the k of a row or the rows of a k are neighbours.
struct LeftRows {
  const float* data;
  Index row_stride, inner_stride;  ///< one of them is 1
  Index group_stride;              ///< between the rows of one micro-kernel and those of the next
};

/// One block of the result: sums (rows, columns) = or += a (rows, inner) b (inner, columns).
struct Block {
  Index rows, columns, inner;
  LeftRows a;
  float* b;  ///< panels
  /// If not null: the whole panels of b are not made yet but lie here, with columns as neighbours;
  /// the first rows that multiply them make them.
  const float* b_source;
  Index b_source_stride;  ///< between one k and the next
  float* sums;
  Index sums_stride;
  bool accumulate;
  const Finish* finish;  ///< of the columns whose sums are complete, or null
  Index finish_row;      ///< the block's first row, as `finish` counts them
};

struct MicroKernels {
  const char* name;
  Index rows, columns;  ///< of a micro-kernel's result
  void (*pack_rows)(const PanelSource& source, float* panels);
  void (*pack_columns)(const PanelSource& source, float* panels);
  void (*multiply)(const Block& block);
  /// Of rows and columns as `finish` counts them.
  void (*finish)(const Finish& finish, Index first_row, Index rows, Index first_column,
                 Index columns);
};

/// The table of the best instruction set that this processor has; the same for the whole process.
const MicroKernels& micro_kernels();
/// All tables that this processor can run, the best first.
struct MicroKernelList {
  const MicroKernels* tables[3];
  int count;
};
const MicroKernelList& runnable_micro_kernels();

namespace v2 {
extern const MicroKernels kMicroKernels;
}
namespace v3 {
extern const MicroKernels kMicroKernels;
}
namespace v4 {
extern const MicroKernels kMicroKernels;
}

}  // namespace reef::ops::cpu
