#pragma once
// Which algorithm, which order, which chunk: by what the network makes of each.

#include <optional>

#include "collectives/algorithms/algorithms.h"
#include "collectives/algorithms/network.h"

namespace reef::collectives {

/// The order of a ring in which its slowest line is fastest: the best of all up to kExhaustive
/// ranks, beyond that always on to the nearest, and up to kImproved as good as reversing stretches
/// makes that. Rank 0 is first.
inline constexpr Rank kExhaustive = 8;
inline constexpr Rank kImproved = 64;
std::vector<Rank> ring_order(const Network& network, std::uint64_t bytes);

/// What ring_order() minimises: seconds of an all-reduce of so many bytes around a ring whose ranks
/// all wait for the slowest.
double ring_seconds(const std::vector<Rank>& order, const Network& network, std::uint64_t bytes);

struct AllReduceNeeds {
  std::uint64_t elements = 0;
  std::size_t bytes_per_element = 4;
  bool reproducible = false;                   ///< the leaf tree's bits
  std::vector<std::vector<Rank>> groups = {};  ///< datacenters; empty or one: all lines are alike
};

struct Choice {
  Schedule schedule;
  std::uint64_t chunk = 0;  ///< elements
  double seconds = 0;
};

/// All that are possible, the fastest first. Nothing when reproducible bits are asked of a number
/// of ranks that is no power of two.
std::vector<Choice> all_reduce_choices(const AllReduceNeeds& needs, const Network& network);

}  // namespace reef::collectives
