#include "actors/store/local_steps/coder.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "runtime/base/check.h"

namespace reef::actors {

codec::Codec of_last(const codec::EdgeCodec& codec) {
  const auto* plain = std::get_if<codec::Codec>(&codec);
  return plain != nullptr ? *plain : codec::Codec{codec::Lossy::kInt8, true};
}

Coder::Coder(const codec::EdgeCodec& codec, const std::vector<codec::Matrix>& parts)
    : codec_(codec) {
  if (codec::has_feedback(codec)) sparse_.emplace(codec, parts);
  for (const codec::Matrix& part : parts) elements_ += part.elements();
}

Bytes Coder::encode(std::span<const float> values, bool last) {
  Bytes encoded;
  if (sparse_ && !last) {
    if (owed_.residual.empty()) owed_ = sparse_->begin();
    std::ranges::fill(owed_.residual, 0.0f);
    sparse_->encode(values, owed_, encoded);
  } else {
    codec::encode(of_last(codec_), values, encoded);
  }
  return encoded;
}

Bytes Coder::encode_owing(std::span<const float> values) {
  CHECK(!sparse_);
  const codec::Codec plain = of_last(codec_);
  Bytes encoded;
  if (!codec::rounds(codec_)) {
    codec::encode(plain, values, encoded);
    return encoded;
  }
  owed_.residual.resize(elements_);
  std::ranges::transform(owed_.residual, values, owed_.residual.begin(), std::plus<>());
  codec::encode(plain, owed_.residual, encoded);
  std::vector<float> seen = owed_.residual;
  codec::round_trip(plain, seen);
  std::ranges::transform(owed_.residual, seen, owed_.residual.begin(), std::minus<>());
  return encoded;
}

Status Coder::decode(BytesView encoded, bool last, std::span<float> values) {
  ATOLL_TRY(sparse_ && !last ? sparse_->decode(encoded, values)
                             : codec::decode(of_last(codec_), encoded, values));
  if (std::ranges::all_of(values, [](float value) { return std::abs(value) <= kMostTold; }))
    return {};
  return Error{Code::kPoison, "letter", "numbers larger than training can make them, or none"};
}

}  // namespace reef::actors
