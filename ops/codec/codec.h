#pragma once
// How a tensor looks on a line. A codec is chosen per edge by the plan; encoding is stateless, so
// that messages can be lost, repeated or decoded in any order.
//
// Tensors are fp32, or bf16 already (std::uint16_t here): then `bf16` has nothing left to round,
// and they look as fp32 tensors do that were rounded on the way. fp8 and the intN round both.
//
// Layout. Without zstd: the elements, little-endian (fp32: 4 bytes, bf16: 2). With zstd: blocks of
// kBlockElements elements (the last one shorter), each block cut into byte planes, each plane
//
//     u8 mode (0 raw, 1 one zstd frame) | u32 length | length bytes
//
// with the exponent's plane first. Before the cut every element is rotated left by one bit, which
// moves the sign behind the mantissa and leaves the first plane all eight exponent bits: the only
// part of a gradient that compresses. A plane in which zstd gains nothing stays raw.
//
// fp8 and the intN write, for each block, the bf16 scales of its groups and then the codes of its
// values (groups.h). With zstd these are three planes: the scales' exponents, the rest of the
// scales, the codes. A group that holds a value which is not finite decodes to NaN, so that the
// receiver sees it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::codec {

/// What the codec throws away. Codecs with error feedback are elsewhere, since they need a
/// residual: top_k.h, power_sgd.h.
enum class Lossy : std::uint8_t {
  kNone,
  kBF16,  ///< round to nearest even; the exponent range of fp32, 8 bits of precision
  kFP8,   ///< e4m3 under a scale: at most 1/16 of a value, or 2^-10 / 448 of the group's largest
  kInt8,  ///< at most 1/253 of the largest value in a group of 128
  kInt4,  ///< at most 1/13.9 of the largest value in a group of 32
  kInt2,  ///< two magnitudes for a group of 64, none of them zero: for what top-k has kept
          ///< (top_k.h)
};

struct Codec {
  Lossy lossy = Lossy::kNone;
  bool zstd = false;
  std::uint8_t level = 0;  ///< of zstd: 1 to kMostLevel as zstd has them, or 0, its fast one

  bool operator==(const Codec&) const = default;
};
inline constexpr std::uint8_t kMostLevel = 9;

/// Elements in a block: a plane is then 128 KiB, one block of zstd, and stays in the second-level
/// cache.
inline constexpr std::size_t kBlockElements = 128 * 1024;

/// "none", "bf16", "fp8", "int8", "int4" or "int2", alone or with "+zstd" or "+zstd1" to "+zstd9"
/// behind it. kJobValue lists them otherwise.
Result<Codec> parse(std::string_view text);
/// The text that parse() reads back.
std::string name(Codec codec);

/// No encoding of this many fp32 or bf16 elements is longer.
std::size_t max_encoded_size(Codec codec, std::size_t elements);
/// The same for encode_bytes(); `codec.lossy` plays no part.
std::size_t max_encoded_bytes_size(Codec codec, std::size_t bytes);

/// Replaces `out` (its capacity is reused) by the encoding of `values`. Equal input gives equal
/// bytes. Thread: any; zstd contexts and planes are kept per thread, under 1 MiB.
void encode(Codec codec, std::span<const float> values, Bytes& out);
/// The same of bf16, of which `none` and `bf16` keep every bit.
void encode(Codec codec, std::span<const std::uint16_t> values, Bytes& out);

/// Fills `out`, whose length is the number of elements the plan promised.
/// Failure: kDecompress for anything but exactly one encoding of that many elements (unknown or
/// wrong size, trailing bytes, a bomb), found before memory is taken; `out` is then unspecified.
Status decode(Codec codec, BytesView encoded, std::span<float> out);
Status decode(Codec codec, BytesView encoded, std::span<std::uint16_t> out);

/// As encode() and decode(), for integers and other bytes which must arrive as they are; only
/// `codec.zstd` is looked at.
void encode_bytes(Codec codec, BytesView raw, Bytes& out);
Status decode_bytes(Codec codec, BytesView encoded, std::span<std::byte> out);

/// Replaces `values` by what a receiver will see, so that both ends of a reduction hold the same
/// bits. Once is enough: encoding the result changes no bit of it.
void round_trip(Codec codec, std::span<float> values);

}  // namespace reef::codec
