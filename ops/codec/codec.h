#pragma once
// How a tensor looks on a line. A codec is chosen per edge by the plan; encoding is stateless, so
// that messages can be lost, repeated or decoded in any order.
//
// Tensors are fp32, or bf16 already (std::uint16_t here): then nothing is left to round, and they
// look as fp32 tensors do that were rounded on the way.
//
// Layout. Without zstd: the elements, little-endian (fp32: 4 bytes, bf16: 2). With zstd: blocks of
// kBlockElements elements (the last one shorter), each block cut into byte planes, each plane
//
//     u8 mode (0 raw, 1 one zstd frame) | u32 length | length bytes
//
// with the exponent's plane first. Before the cut every element is rotated left by one bit, which
// moves the sign behind the mantissa and leaves the first plane all eight exponent bits: the only
// part of a gradient that compresses. A plane in which zstd gains nothing stays raw.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::codec {

/// What the codec throws away. Error-feedback codecs will be added here with their residuals
/// elsewhere.
enum class Lossy : std::uint8_t {
  kNone,
  kBF16,  ///< round to nearest even; the exponent range of fp32, 8 bits of precision
};

struct Codec {
  Lossy lossy = Lossy::kNone;
  bool zstd = false;

  bool operator==(const Codec&) const = default;
};

/// Elements in a block: a plane is then 128 KiB, one block of zstd, and stays in the second-level
/// cache.
inline constexpr std::size_t kBlockElements = 128 * 1024;

/// "none", "bf16", "none+zstd" or "bf16+zstd". kJobValue lists them otherwise.
Result<Codec> parse(std::string_view text);
/// The text that parse() reads back.
std::string name(Codec codec);

/// No encoding of this many fp32 elements is longer.
std::size_t max_encoded_size(Codec codec, std::size_t elements);
/// The same for encode_bytes(); `codec.lossy` plays no part.
std::size_t max_encoded_bytes_size(Codec codec, std::size_t bytes);

/// Replaces `out` (its capacity is reused) by the encoding of `values`. Equal input gives equal
/// bytes. Thread: any; zstd contexts and planes are kept per thread, under 1 MiB.
void encode(Codec codec, std::span<const float> values, Bytes& out);
/// The same of bf16; `codec.lossy` plays no part.
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
/// bits.
void round_trip(Codec codec, std::span<float> values);

}  // namespace reef::codec
