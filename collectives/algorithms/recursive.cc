#include <bit>

#include "collectives/algorithms/build.h"
#include "runtime/base/check.h"

namespace reef::collectives {
namespace {

/// What a rank still adds up after the exchanges at distances below `distance`.
Range kept_by(Rank rank, Rank distance, std::uint64_t elements) {
  Range range{0, elements};
  for (Rank d = 1; d < distance; d *= 2) range = part_of(range, 2, (rank & d) != 0);
  return range;
}

}  // namespace

Schedule doubling_all_reduce(Rank world, std::uint64_t elements, std::uint64_t chunk) {
  CHECK(std::has_single_bit(world));
  Schedule schedule = make("doubling", world, elements, true);
  for (Rank distance = 1; distance < world; distance *= 2) {
    for (Rank rank = 0; rank < world; ++rank) {
      if ((rank & distance) == 0)
        append(schedule, rank, rank | distance, {0, elements}, Action::kExchange, chunk);
    }
  }
  return schedule;
}

Schedule halving_all_reduce(Rank world, std::uint64_t elements, std::uint64_t chunk) {
  CHECK(std::has_single_bit(world));
  Schedule schedule = make("halving", world, elements, true);
  for (Rank distance = 1; distance < world; distance *= 2) {
    for (Rank rank = 0; rank < world; ++rank) {
      const Rank partner = rank ^ distance;
      append(schedule, rank, partner, kept_by(partner, 2 * distance, elements), Action::kAdd,
             chunk);
    }
  }
  for (Rank distance = world / 2; distance > 0; distance /= 2) {
    for (Rank rank = 0; rank < world; ++rank) {
      append(schedule, rank, rank ^ distance, kept_by(rank, 2 * distance, elements), Action::kPut,
             chunk);
    }
  }
  return schedule;
}

}  // namespace reef::collectives
