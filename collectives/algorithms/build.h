#pragma once
// Pieces that algorithms are put together from. Each appends steps that touch one range, for some
// of the ranks.

#include <algorithm>

#include "collectives/algorithms/algorithms.h"

namespace reef::collectives {

inline Schedule make(std::string algorithm, Rank world, std::uint64_t elements,
                     bool reproducible = false) {
  return {
      std::move(algorithm), world, std::vector<std::uint64_t>(world, elements), reproducible, {}};
}

/// Cuts a message into chunks and appends them.
inline void append(Schedule& schedule, const Step& message, std::uint64_t chunk) {
  for (std::uint64_t at = 0; at < message.source.size(); at += chunk) {
    Step step = message;
    step.source.begin = message.source.begin + at;
    step.source.end = std::min(message.source.end, step.source.begin + chunk);
    step.target = message.target + at;
    schedule.steps.push_back(step);
  }
}
inline void append(Schedule& schedule, Rank from, Rank to, Range range, Action action,
                   std::uint64_t chunk) {
  append(schedule, {from, to, range, range.begin, action}, chunk);
}

/// parts[i] ends at order[i], added up over all of `order`, around the ring. There may be fewer
/// parts than ranks.
void reduce_around(Schedule& schedule, const std::vector<Rank>& order,
                   const std::vector<Range>& parts, std::uint64_t chunk);
/// parts[i] goes from order[i] to all others, around the ring.
void spread_around(Schedule& schedule, const std::vector<Rank>& order,
                   const std::vector<Range>& parts, std::uint64_t chunk);
/// All-reduce of one range among `order`, around the ring.
void all_reduce_around(Schedule& schedule, const std::vector<Rank>& order, Range range,
                       std::uint64_t chunk);

/// A range in as many parts as there are, number i at place i.
std::vector<Range> parts_of(Range range, std::uint64_t parts);

}  // namespace reef::collectives
