#include "ops/codec/measure.h"

#include <algorithm>
#include <cmath>

namespace reef::codec {
namespace {

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double relative_error(std::span<const float> values, std::span<const float> decoded) {
  double lost = 0, all = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double difference = double(values[i]) - double(decoded[i]);
    lost += difference * difference;
    all += double(values[i]) * double(values[i]);
  }
  return all > 0 ? std::sqrt(lost / all) : 0;
}

}  // namespace

std::vector<Codec> edge_codecs() {
  std::vector<Codec> codecs;
  for (const Lossy lossy : {Lossy::kNone, Lossy::kBF16, Lossy::kFP8, Lossy::kInt8, Lossy::kInt4}) {
    codecs.push_back({lossy, false});
    codecs.push_back({lossy, true});
    codecs.push_back({lossy, true, 1});
  }
  return codecs;
}

std::vector<Measured> measure(std::span<const float> sample, std::span<const Codec> codecs,
                              const Clock& clock, std::size_t rounds) {
  CHECK(!sample.empty() && rounds > 0) << "nothing to measure";
  std::vector<float> decoded(sample.size());
  const auto bytes = static_cast<double>(sample.size_bytes());
  std::vector<Measured> all;
  for (const Codec& codec : codecs) {
    Bytes encoded;
    std::vector<double> encoding, decoding;
    for (std::size_t round = 0; round <= rounds; ++round) {  // the first warms memory and caches
      const Time start = clock.now();
      encode(codec, sample, encoded);
      const Time between = clock.now();
      const Status status = decode(codec, encoded, std::span(decoded));
      const Time end = clock.now();
      CHECK(status.ok()) << status.error().text();
      if (round == 0) continue;
      encoding.push_back(seconds(between - start));
      decoding.push_back(seconds(end - between));
    }
    all.push_back({codec, static_cast<double>(encoded.size()) / bytes, median(encoding) / bytes,
                   median(decoding) / bytes, relative_error(sample, decoded)});
  }
  return all;
}

}  // namespace reef::codec
