#include "actors/store/local_steps/coder.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace reef::actors {

Coder::Coder(const codec::EdgeCodec& codec, const std::vector<codec::Matrix>& parts)
    : codec_(codec) {
  if (codec::has_feedback(codec)) {
    sparse_.emplace(codec, parts);
    owed_ = sparse_->begin();
    return;
  }
  std::size_t elements = 0;
  for (const codec::Matrix& part : parts) elements += part.elements();
  if (codec::rounds(codec)) owed_.residual.resize(elements);
}

Bytes Coder::encode(std::span<const float> values) {
  Bytes encoded;
  if (sparse_) {
    sparse_->encode(values, owed_, encoded);
    return encoded;
  }
  const codec::Codec plain = std::get<codec::Codec>(codec_);
  if (owed_.residual.empty()) {
    codec::encode(plain, values, encoded);
    return encoded;
  }
  std::ranges::transform(owed_.residual, values, owed_.residual.begin(), std::plus<>());
  codec::encode(plain, owed_.residual, encoded);
  std::vector<float> seen = owed_.residual;
  codec::round_trip(plain, seen);
  std::ranges::transform(owed_.residual, seen, owed_.residual.begin(), std::minus<>());
  return encoded;
}

Status Coder::decode(BytesView encoded, std::span<float> values) {
  ATOLL_TRY(sparse_ ? sparse_->decode(encoded, values)
                    : codec::decode(std::get<codec::Codec>(codec_), encoded, values));
  if (std::ranges::all_of(values, [](float value) { return std::abs(value) <= kMostTold; }))
    return {};
  return Error{Code::kPoison, "letter", "numbers larger than training can make them, or none"};
}

}  // namespace reef::actors
