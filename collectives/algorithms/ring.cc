#include <numeric>

#include "collectives/algorithms/build.h"

namespace reef::collectives {

std::vector<Rank> ranks_of(Rank world) {
  std::vector<Rank> ranks(world);
  std::iota(ranks.begin(), ranks.end(), Rank{0});
  return ranks;
}

std::vector<Range> parts_of(Range range, std::uint64_t parts) {
  std::vector<Range> all;
  for (std::uint64_t i = 0; i < parts; ++i) all.push_back(part_of(range, parts, i));
  return all;
}

void reduce_around(Schedule& schedule, const std::vector<Rank>& order,
                   const std::vector<Range>& parts, std::uint64_t chunk) {
  const std::size_t world = order.size();
  // In round k part i is k hops away from where it began, behind its owner.
  for (std::size_t round = 1; round < world; ++round) {
    for (std::size_t part = 0; part < parts.size(); ++part) {
      append(schedule, order[(part + round) % world], order[(part + round + 1) % world],
             parts[part], Action::kAdd, chunk);
    }
  }
}

void spread_around(Schedule& schedule, const std::vector<Rank>& order,
                   const std::vector<Range>& parts, std::uint64_t chunk) {
  const std::size_t world = order.size();
  for (std::size_t round = 0; round + 1 < world; ++round) {
    for (std::size_t part = 0; part < parts.size(); ++part) {
      append(schedule, order[(part + round) % world], order[(part + round + 1) % world],
             parts[part], Action::kPut, chunk);
    }
  }
}

void all_reduce_around(Schedule& schedule, const std::vector<Rank>& order, Range range,
                       std::uint64_t chunk) {
  const std::vector<Range> parts = parts_of(range, order.size());
  reduce_around(schedule, order, parts, chunk);
  spread_around(schedule, order, parts, chunk);
}

Schedule ring_all_reduce(const std::vector<Rank>& order, std::uint64_t elements,
                         std::uint64_t chunk) {
  Schedule schedule = make("ring", static_cast<Rank>(order.size()), elements);
  all_reduce_around(schedule, order, {0, elements}, chunk);
  return schedule;
}

namespace {

/// Part r belongs to rank r, wherever it stands in the ring.
std::vector<Range> parts_by_rank(const std::vector<Rank>& order, std::uint64_t elements) {
  std::vector<Range> parts;
  for (const Rank rank : order) parts.push_back(part_of({0, elements}, order.size(), rank));
  return parts;
}

}  // namespace

Schedule ring_reduce_scatter(const std::vector<Rank>& order, std::uint64_t elements,
                             std::uint64_t chunk) {
  Schedule schedule = make("ring", static_cast<Rank>(order.size()), elements);
  reduce_around(schedule, order, parts_by_rank(order, elements), chunk);
  return schedule;
}

Schedule ring_all_gather(const std::vector<Rank>& order, std::uint64_t elements,
                         std::uint64_t chunk) {
  Schedule schedule = make("ring", static_cast<Rank>(order.size()), elements);
  spread_around(schedule, order, parts_by_rank(order, elements), chunk);
  return schedule;
}

}  // namespace reef::collectives
