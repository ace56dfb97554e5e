#pragma once
// Block-scaled values: a bf16 scale for each group of values (in int2 two), and a code of a few
// bits for each value. Scales and codes apart, since only their owner knows how they are packed.
// Private to ops/codec.
//
// int8: groups of 128, codes -127..127. int4: groups of 32, codes -7..7, two a byte (kernels.cc).
// fp8: groups of 128, e4m3 up to 448. Symmetric, rounded to nearest. int2: groups of 64, each with
// two levels, the mean of the magnitudes below the group's mean and that of the others; a code says
// which, and the sign. The last group may be shorter; in int4 it is filled up with zeros, in int2
// with its values over again.

#include <span>

#include "ops/codec/codec.h"

namespace reef::codec {

bool is_grouped(Lossy lossy);

/// Elements that share a scale; a multiple of it is a place where an encoding can be continued.
std::size_t group_of(Lossy lossy);
std::size_t scale_bytes(Lossy lossy, std::size_t elements);
std::size_t code_bytes(Lossy lossy, std::size_t elements);

/// Both have room for scale_bytes() and code_bytes().
void encode_groups(Lossy lossy, std::span<const float> values, std::byte* scales, std::byte* codes);
/// False when a scale or code is one that no encoder writes; `out` is then unspecified.
[[nodiscard]] bool decode_groups(Lossy lossy, const std::byte* scales, const std::byte* codes,
                                 std::span<float> out);

}  // namespace reef::codec
