#pragma once
// What lies between the ranks of a collective, as the planner measured it, and how long a schedule
// takes there.

#include <cstdint>
#include <vector>

#include "collectives/algorithms/schedule.h"

namespace reef::collectives {

/// From one rank to another, one way.
struct Way {
  double seconds_per_byte = 0;
  double latency = 0;    ///< seconds
  std::size_t line = 0;  ///< ways of the same line share its rate; back is another line
};

struct Network {
  Rank world = 1;
  std::vector<Way> ways;  ///< from * world + to; its own entry means nothing
  std::size_t lines = 0;
  double seconds_per_message = 0;  ///< of a rank, for each that it takes
  double seconds_per_byte = 0;     ///< of a rank, to add or copy what it has received

  const Way& way(Rank from, Rank to) const { return ways[std::size_t{from} * world + to]; }
};

/// Ranks in groups, such as datacenters: inside a group each pair has a line of its own, and all
/// pairs of two groups share one line each way.
struct Line {
  double bits_per_second = 0;
  double round_trip = 0;  ///< seconds
};
Network network_of(const std::vector<std::uint32_t>& group_of_rank, const Line& inside,
                   const Line& between);

/// Seconds until the last rank has finished, when each step begins as soon as it may and lines
/// carry one message after the other. An estimate for choosing by: messages of one line go in the
/// order of the schedule.
double predict(const Schedule& schedule, const Network& network, std::size_t bytes_per_element);

}  // namespace reef::collectives
