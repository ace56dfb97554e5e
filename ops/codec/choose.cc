#include "ops/codec/choose.h"

#include <algorithm>
#include <tuple>

namespace reef::codec {
namespace {

double work_seconds(const Measured& codec) { return codec.encode_seconds + codec.decode_seconds; }

}  // namespace

double seconds_per_message(const Measured& codec, const LineMeasured& line, const EdgeNeeds& edge) {
  const double on_the_line = edge.bytes * codec.ratio * 8 / line.bits_per_second;
  const double there_and_back = (on_the_line + line.round_trip_seconds) / std::max(edge.slots, 1.0);
  return std::max({edge.bytes * codec.encode_seconds, edge.bytes * codec.decode_seconds,
                   on_the_line, there_and_back});
}

std::optional<Measured> choose(std::span<const Measured> codecs, const LineMeasured& line,
                               const EdgeNeeds& edge, const std::optional<Codec>& current) {
  if (!(line.bits_per_second > 0) || !(line.round_trip_seconds >= 0)) return std::nullopt;
  const auto seconds = [&line, &edge](const Measured& codec) {
    return seconds_per_message(codec, line, edge);
  };
  std::vector<Measured> allowed;
  for (const Measured& codec : codecs) {
    if (codec.error <= edge.largest_error) allowed.push_back(codec);
  }
  if (allowed.empty()) return std::nullopt;
  double fastest = seconds(allowed[0]);
  for (const Measured& codec : allowed) fastest = std::min(fastest, seconds(codec));
  if (current) {
    const auto kept =
        std::find_if(allowed.begin(), allowed.end(),
                     [&current](const Measured& codec) { return codec.codec == *current; });
    if (kept != allowed.end() && seconds(*kept) <= fastest * kWorthAChange) return *kept;
  }
  std::optional<Measured> best;
  for (const Measured& codec : allowed) {
    if (seconds(codec) > fastest * kAsGood) continue;
    const auto merit = [](const Measured& one) { return std::tuple(one.error, work_seconds(one)); };
    if (!best || merit(codec) < merit(*best)) best = codec;
  }
  return best;
}

}  // namespace reef::codec
