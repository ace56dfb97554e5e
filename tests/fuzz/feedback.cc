// Codecs with error feedback: bytes of any kind against what the plan promised, any elements
// through them and back, and what a checkpoint kept of a residual.

#include "ops/codec/feedback.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/codec/power_sgd.h"
#include "ops/codec/top_k.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

constexpr std::array kCodecs{"none",      "bf16", "none+zstd", "bf16+zstd", "fp8",
                             "int8+zstd", "int4", "int2",      "int2+zstd"};
constexpr std::size_t kMostElements = 2048;

codec::Codec values_codec(fuzz::Input& input) {
  return codec::parse(kCodecs[input.below(kCodecs.size())]).value();
}

/// As many as are promised; zeros where the input ends.
std::vector<float> elements(BytesView bytes, std::size_t count) {
  std::vector<float> values(count);
  const BytesView used = bytes.first(std::min(bytes.size(), count * sizeof(float)));
  if (!used.empty()) std::memcpy(values.data(), used.data(), used.size());
  return values;
}

/// Nothing is lost but what is not finite, and that only once.
void check_residual(const std::vector<float>& values, const std::vector<float>& seen,
                    const std::vector<float>& residual) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float left = values[i] - seen[i];
    if (std::isfinite(left)) CHECK_EQ(residual[i], left);
  }
}

void decode_top_k(const codec::TopK& codec, BytesView bytes, std::size_t count) {
  codec::TopKCoder coder(codec);
  std::vector<float> values(count);
  const Status status = coder.decode(bytes, values);
  if (!status.ok()) return fuzz::check_refusal(status.error(), {Code::kDecompress});
  CHECK_LE(bytes.size(), codec::max_encoded_size(codec, count));
  const auto kept = std::count_if(values.begin(), values.end(), [](float x) { return x != 0; });
  CHECK_LE(static_cast<std::size_t>(kept), codec::most_kept(codec, count));
  std::vector<float> sum(count);
  CHECK(coder.decode_add(bytes, 1, sum).ok());
  for (std::size_t i = 0; i < count; ++i) CHECK(sum[i] == values[i] || std::isnan(values[i]));
}

void top_k(fuzz::Input& input) {
  codec::TopK codec;
  codec.values = values_codec(input);
  codec.fraction = static_cast<double>(1 + input.number<std::uint8_t>()) / 256;
  codec.chunk = 16 * input.number<std::uint8_t>();
  const bool decode = input.below(2) == 0;
  const std::size_t count = input.number<std::uint16_t>() % kMostElements;
  const BytesView bytes = input.rest();
  if (decode) return decode_top_k(codec, bytes, count);
  codec::TopKCoder coder(codec);
  const std::vector<float> values = elements(bytes, count);
  std::vector<float> residual(count), seen(count);
  Bytes encoded;
  coder.encode(values, residual, encoded);
  CHECK_LE(encoded.size(), codec::max_encoded_size(codec, count));
  const Status status = coder.decode(encoded, seen);
  CHECK(status.ok()) << status.error().text();
  check_residual(values, seen, residual);
  decode_top_k(codec, fuzz::mutated(encoded, input), count);
}

/// Two matrices, of which some are too small to be worth factors.
std::vector<codec::Matrix> parts(fuzz::Input& input) {
  std::vector<codec::Matrix> all(2);
  for (codec::Matrix& part : all) part = {input.below(24), input.below(24)};
  return all;
}

void power_sgd(fuzz::Input& input) {
  codec::PowerSgd codec;
  codec.factors = values_codec(input);
  codec.rank = 1 + input.below(4);
  codec::PowerSgdCoder coder(codec, parts(input));
  std::vector<float> seen(coder.elements());
  if (input.below(2) == 0) {
    const Status status = coder.decode(input.rest(), seen);
    if (!status.ok()) fuzz::check_refusal(status.error(), {Code::kDecompress});
    return;
  }
  const std::vector<float> values = elements(input.rest(), coder.elements());
  codec::Feedback feedback = coder.begin();
  const std::size_t warm = feedback.warm.size();
  Bytes encoded;
  coder.encode(values, feedback, encoded);
  CHECK_LE(encoded.size(), coder.max_encoded_size());
  const Status status = coder.decode(encoded, seen);
  CHECK(status.ok()) << status.error().text();
  check_residual(values, seen, feedback.residual);
  const auto back = codec::restore(codec::save(feedback), values.size(), warm);
  CHECK(back.ok() && *back == feedback) << "a residual that no checkpoint can hold";
}

void restore(fuzz::Input& input) {
  const std::size_t residual = input.below(16), warm = input.below(16);
  const BytesView bytes = input.rest();
  const auto feedback = codec::restore(bytes, residual, warm);
  if (!feedback.ok()) return fuzz::check_refusal(feedback.error(), {Code::kCheckpoint});
  const Bytes again = codec::save(*feedback);
  CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t form = input.below(3);
  if (form == 0) top_k(input);
  if (form == 1) power_sgd(input);
  if (form == 2) restore(input);
  return 0;
}
