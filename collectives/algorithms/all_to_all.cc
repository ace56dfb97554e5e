#include <numeric>

#include "collectives/algorithms/build.h"
#include "runtime/base/check.h"

namespace reef::collectives {
namespace {

using Counts = std::vector<std::vector<std::uint64_t>>;

std::uint64_t sum_of(const std::vector<std::uint64_t>& counts, std::size_t first_ones) {
  return std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(first_ones),
                         std::uint64_t{0});
}

Range source_of(const Counts& counts, Rank from, Rank to) {
  const std::uint64_t begin = sum_of(counts[from], to);
  return {begin, begin + counts[from][to]};
}

}  // namespace

Range all_to_all_target(const Counts& counts, Rank from, Rank to) {
  std::uint64_t begin = sum_of(counts[to], counts.size());
  for (Rank earlier = 0; earlier < from; ++earlier) begin += counts[earlier][to];
  return {begin, begin + counts[from][to]};
}

Schedule all_to_all(const Counts& counts, std::uint64_t chunk) {
  const auto world = static_cast<Rank>(counts.size());
  Schedule schedule{"pairwise", world, {}, true, {}};
  for (Rank rank = 0; rank < world; ++rank) {
    CHECK_EQ(counts[rank].size(), counts.size());
    schedule.elements.push_back(all_to_all_target(counts, world - 1, rank).end);
  }
  for (Rank distance = 1; distance < world; ++distance) {
    for (Rank rank = 0; rank < world; ++rank) {
      const Rank to = (rank + distance) % world;
      append(schedule,
             {rank, to, source_of(counts, rank, to), all_to_all_target(counts, rank, to).begin,
              Action::kPut},
             chunk);
    }
  }
  return schedule;
}

}  // namespace reef::collectives
