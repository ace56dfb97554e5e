#pragma once
// The inner loops of the codecs on raw pointers, compiled once per instruction set. Plain types
// only: an inline function of the standard library compiled here for AVX-512 could be the copy that
// the linker keeps for everybody. Contraction is off and sums run in a fixed order, so all tables
// give the same bits.

#include <cstddef>
#include <cstdint>

namespace reef::codec {

/// Elements that share one scale, or in int2 two.
inline constexpr std::size_t kInt8Group = 128;
inline constexpr std::size_t kFP8Group = 128;
inline constexpr std::size_t kInt4Group = 32;
inline constexpr std::size_t kInt4GroupBytes = kInt4Group / 2;
inline constexpr std::size_t kInt2Group = 64;
inline constexpr std::size_t kInt2GroupBytes = kInt2Group / 4;

/// Scale bits of a group that holds a value which is not finite: it decodes to NaN.
inline constexpr std::uint16_t kPoisonedScale = 0x7FC0;

/// Of `column_maxima`.
inline constexpr std::size_t kColumns = 256;

/// Encodes whole groups: a bf16 scale a group (in int2 two), codes beside them.
using EncodeGroups = void (*)(const float* x, std::size_t groups, void* scales, void* codes);
/// False when a scale or a code is one that no encoder writes; `out` is then unspecified.
using DecodeGroups = bool (*)(const void* scales, const void* codes, std::size_t groups,
                              float* out);

struct Kernels {
  const char* name;
  EncodeGroups encode_int8, encode_int4, encode_int2, encode_fp8;
  DecodeGroups decode_int8, decode_int4, decode_int2, decode_fp8;

  /// Writes the positions, ascending, at which the bits of |x| are at least `threshold`; returns
  /// how many. `positions` has room for `count`.
  std::size_t (*find_large)(const float* x, std::size_t count, std::uint32_t threshold,
                            std::uint32_t* positions);
  /// maxima[j] = largest of the bits of |x[i * kColumns + j]| over all `rows`.
  void (*column_maxima)(const float* x, std::size_t rows, std::uint32_t* maxima);
  /// How many of kColumns such maxima are at least `threshold`.
  std::size_t (*count_large)(const std::uint32_t* maxima, std::uint32_t threshold);
  /// sum[i] += x[i].
  void (*add)(const float* x, std::size_t count, float* sum);

  /// out[i] = sum over j of matrix[i][j] * factor[j], in 16 interleaved sums that are added as a
  /// tree.
  void (*times)(const float* matrix, std::size_t rows, std::size_t columns, const float* factor,
                float* out);
  /// out[j] = sum over i of matrix[i][j] * factor[i], in order.
  void (*transposed_times)(const float* matrix, std::size_t rows, std::size_t columns,
                           const float* factor, float* out);
  /// out[i][j] += left[i] * right[j].
  void (*add_outer)(const float* left, std::size_t rows, const float* right, std::size_t columns,
                    float* out);
};

namespace v2 {
extern const Kernels kKernels;
}
namespace v3 {
extern const Kernels kKernels;
}
namespace v4 {
extern const Kernels kKernels;
}

}  // namespace reef::codec
