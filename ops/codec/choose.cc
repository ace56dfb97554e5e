#include "ops/codec/choose.h"

#include <algorithm>
#include <tuple>

namespace reef::codec {
double seconds_per_message(const Measured& codec, const LineMeasured& line, const EdgeNeeds& edge) {
  const double on_the_line = edge.bytes * codec.ratio * 8 / line.bits_per_second;
  const double there_and_back = (on_the_line + line.round_trip_seconds) / std::max(edge.slots, 1.0);
  return std::max({edge.bytes * codec.encode_seconds, edge.bytes * codec.decode_seconds,
                   on_the_line, there_and_back});
}

Candidate candidate(const Measured& codec, const LineMeasured& line, const EdgeNeeds& edge) {
  return {codec.codec, seconds_per_message(codec, line, edge),
          codec.encode_seconds + codec.decode_seconds, codec.error};
}

std::optional<Codec> choose(std::span<const Candidate> candidates, double largest_error,
                            const std::optional<Codec>& current) {
  std::vector<Candidate> allowed;
  for (const Candidate& one : candidates) {
    if (one.error <= largest_error) allowed.push_back(one);
  }
  if (allowed.empty()) return std::nullopt;
  const double fastest = std::ranges::min(allowed, {}, &Candidate::seconds).seconds;
  std::optional<Candidate> best;
  for (const Candidate& one : allowed) {
    if (one.seconds > fastest * kAsGood) continue;
    const auto merit = [](const Candidate& of) { return std::tuple(of.error, of.work); };
    if (!best || merit(one) < merit(*best)) best = one;
  }
  if (!current) return best->codec;
  const auto kept = std::ranges::find(allowed, *current, &Candidate::codec);
  const bool stays = kept != allowed.end() && kept->seconds <= fastest * kWorthAChange &&
                     kept->error <= best->error * kWorthAnError;
  return stays ? *current : best->codec;
}

std::optional<Measured> choose(std::span<const Measured> codecs, const LineMeasured& line,
                               const EdgeNeeds& edge, const std::optional<Codec>& current) {
  if (!(line.bits_per_second > 0) || !(line.round_trip_seconds >= 0)) return std::nullopt;
  std::vector<Candidate> candidates;
  for (const Measured& one : codecs) candidates.push_back(candidate(one, line, edge));
  const auto chosen = choose(candidates, edge.largest_error, current);
  if (!chosen) return std::nullopt;
  return *std::ranges::find(codecs, *chosen, &Measured::codec);
}

}  // namespace reef::codec
