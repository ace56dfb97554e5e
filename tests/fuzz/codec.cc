// Encoded tensors: bytes of any kind against the number of elements that the plan promised, and
// any elements through every codec and back.

#include "ops/codec/codec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/codec/bf16.h"
#include "ops/codec/isa/kernels.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

constexpr std::array kCodecs{"none",       "bf16", "none+zstd", "bf16+zstd",  "fp8",
                             "int8",       "int4", "fp8+zstd",  "int8+zstd1", "int4+zstd",
                             "none+zstd9", "int2", "int2+zstd"};

/// Up to a little more than what one block holds, most of them small: a bomb would fill them.
std::size_t element_count(fuzz::Input& input) {
  const auto count = input.number<std::uint16_t>();
  return (count & 0x8000) == 0 ? count % 512 : codec::kBlockElements - 64 + count % 128;
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

std::vector<float> rounded(codec::Codec codec, std::vector<float> values) {
  codec::round_trip(codec, values);
  return values;
}
bool has_scales(codec::Codec codec) { return codec.lossy > codec::Lossy::kBF16; }

std::vector<std::uint16_t> rounded(codec::Codec codec, std::vector<std::uint16_t> values) {
  if (!has_scales(codec)) return values;
  std::vector<float> wide(values.size());
  std::transform(values.begin(), values.end(), wide.begin(), codec::from_bf16);
  codec::round_trip(codec, wide);
  std::transform(wide.begin(), wide.end(), values.begin(), codec::to_bf16);
  return values;
}
std::size_t bound(codec::Codec codec, const std::vector<float>& values) {
  return codec::max_encoded_size(codec, values.size());
}
std::size_t bound(codec::Codec codec, const std::vector<std::uint16_t>& values) {
  if (!has_scales(codec)) codec.lossy = codec::Lossy::kBF16;
  return codec::max_encoded_size(codec, values.size());
}

/// Each value becomes the mean of its part of a group: no further away than the part is wide.
void check_levels(std::span<const float> values, std::span<const float> seen) {
  float least = std::numeric_limits<float>::max(), most = 0;
  for (const float value : values) {
    least = std::min(least, std::abs(value));
    most = std::max(most, std::abs(value));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(double(values[i]) - double(seen[i]));
    CHECK_LE(error, (double(most) - double(least)) + double(most) / 256);
  }
}

/// The errors that codec.h promises, for one group whose scale is neither too small nor too large;
/// a hair more, for the arithmetic of this check.
void check_group(codec::Lossy lossy, std::span<const float> values, std::span<const float> seen) {
  float most = 0;
  bool finite = true;
  for (const float value : values) {
    most = std::max(most, std::abs(value));
    finite = finite && std::isfinite(value);
  }
  if (!finite) {
    for (const float value : seen) CHECK(std::isnan(value)) << "the receiver does not see it";
  }
  if (!finite || most < 0x1p-90f || most > 0x1p126f) return;
  if (lossy == codec::Lossy::kInt2) return check_levels(values, seen);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(double(values[i]) - double(seen[i]));
    double limit = most / (lossy == codec::Lossy::kInt8 ? 253.0 : 13.9);
    if (lossy == codec::Lossy::kFP8)
      limit = std::max(std::abs(double(values[i])) / 16, most * 0x1p-10 / 448);
    // The scale is up to one part in 256 off, which moves the steps between small codes.
    CHECK_LE(error, limit * (lossy == codec::Lossy::kFP8 ? 1.004 : 1.000001));
  }
}

void check_errors(codec::Lossy lossy, std::span<const float> values, std::span<const float> seen) {
  const std::size_t group = lossy == codec::Lossy::kInt4   ? codec::kInt4Group
                            : lossy == codec::Lossy::kInt2 ? codec::kInt2Group
                                                           : codec::kInt8Group;
  static_assert(codec::kInt8Group == codec::kFP8Group);
  for (std::size_t at = 0; at < values.size(); at += group) {
    const std::size_t count = std::min(group, values.size() - at);
    check_group(lossy, values.subspan(at, count), seen.subspan(at, count));
  }
}

void check_kept(codec::Codec codec, const std::vector<float>& values,
                const std::vector<float>& seen) {
  CHECK(same_bits(rounded(codec, seen), seen)) << "rounded twice";
  if (has_scales(codec)) check_errors(codec.lossy, values, seen);
}
void check_kept(codec::Codec, const std::vector<std::uint16_t>&,
                const std::vector<std::uint16_t>&) {}

/// What a sender of these elements makes arrives as round_trip() says.
template <typename T>
void round_trip(codec::Codec codec, const std::vector<T>& values) {
  Bytes encoded;
  codec::encode(codec, values, encoded);
  CHECK_LE(encoded.size(), bound(codec, values));
  std::vector<T> back(values.size());
  const Status status = codec::decode(codec, encoded, std::span<T>(back));
  CHECK(status.ok()) << status.error().text();
  CHECK(same_bits(back, rounded(codec, values)));
  check_kept(codec, values, back);
}

/// `encoded` is a peer's, or stands for elements.
template <typename T>
void run(codec::Codec codec, std::size_t count, bool decode, BytesView bytes) {
  std::vector<T> values(decode ? count : bytes.size() / sizeof(T));
  if (decode) {
    const Status status = codec::decode(codec, bytes, std::span<T>(values));
    if (!status.ok()) return fuzz::check_refusal(status.error(), {Code::kDecompress});
  } else if (!values.empty()) {
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  }
  round_trip(codec, values);
}

void run_bytes(codec::Codec codec, std::size_t count, bool decode, BytesView bytes) {
  Bytes raw = decode ? Bytes(count) : to_bytes(bytes);
  if (decode) {
    const Status status = codec::decode_bytes(codec, bytes, raw);
    if (!status.ok()) return fuzz::check_refusal(status.error(), {Code::kDecompress});
  }
  Bytes encoded, back(raw.size());
  codec::encode_bytes(codec, raw, encoded);
  CHECK_LE(encoded.size(), codec::max_encoded_bytes_size(codec, raw.size()));
  CHECK(codec::decode_bytes(codec, encoded, back).ok());
  CHECK(back == raw);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const codec::Codec codec = codec::parse(kCodecs[input.below(kCodecs.size())]).value();
  const std::size_t type = input.below(3);
  const bool decode = input.below(2) == 0;
  const std::size_t count = element_count(input);
  const BytesView bytes = input.rest();
  if (type == 0) run<float>(codec, count, decode, bytes);
  if (type == 1) run<std::uint16_t>(codec, count, decode, bytes);
  if (type == 2) run_bytes(codec, count, decode, bytes);
  return 0;
}
