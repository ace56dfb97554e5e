#include <bit>

#include "collectives/algorithms/build.h"

namespace reef::collectives {
namespace {

/// Down a binomial tree: who has it gives it to who is half of the rest away.
void spread_down(Schedule& schedule, Rank root, Range range, std::uint64_t chunk) {
  const Rank world = schedule.world;
  for (Rank distance = std::bit_ceil(world) / 2; distance > 0; distance /= 2) {
    for (Rank i = 0; i + distance < world; i += 2 * distance) {
      append(schedule, (i + root) % world, (i + distance + root) % world, range, Action::kPut,
             chunk);
    }
  }
}

}  // namespace

Schedule broadcast(Rank world, Rank root, std::uint64_t elements, std::uint64_t chunk) {
  Schedule schedule = make("tree", world, elements);
  spread_down(schedule, root, {0, elements}, chunk);
  return schedule;
}

Schedule tree_all_reduce(Rank world, std::uint64_t elements, std::uint64_t chunk) {
  Schedule schedule = make("tree", world, elements, std::has_single_bit(world));
  for (Rank distance = 1; distance < world; distance *= 2) {
    for (Rank i = 0; i + distance < world; i += 2 * distance)
      append(schedule, i + distance, i, {0, elements}, Action::kAdd, chunk);
  }
  spread_down(schedule, 0, {0, elements}, chunk);
  return schedule;
}

}  // namespace reef::collectives
