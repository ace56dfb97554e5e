#include "collectives/algorithms/build.h"
#include "runtime/base/check.h"

namespace reef::collectives {
namespace {

/// All-reduce of one range among one rank of each group.
void across(Schedule& schedule, const std::vector<Rank>& owners, Range range, std::uint64_t chunk) {
  if (owners.size() == 2)
    append(schedule, owners[0], owners[1], range, Action::kExchange, chunk);
  else
    all_reduce_around(schedule, owners, range, chunk);
}

}  // namespace

Schedule hierarchical_all_reduce(const std::vector<std::vector<Rank>>& groups,
                                 std::uint64_t elements, std::uint64_t chunk, std::size_t gates) {
  CHECK(gates >= 1);
  std::size_t world = 0, crossing = std::min<std::size_t>(elements, gates);
  for (const auto& group : groups) {
    CHECK(!group.empty());
    world += group.size();
    crossing = std::min(crossing, group.size());
  }
  Schedule schedule = make("hierarchical", static_cast<Rank>(world), elements);
  if (elements == 0) return schedule;
  const std::vector<Range> parts = parts_of({0, elements}, crossing);
  for (const auto& group : groups) reduce_around(schedule, group, parts, chunk);
  for (std::size_t part = 0; part < parts.size(); ++part) {
    std::vector<Rank> owners;
    for (const auto& group : groups) owners.push_back(group[part]);
    across(schedule, owners, parts[part], chunk);
  }
  for (const auto& group : groups) spread_around(schedule, group, parts, chunk);
  return schedule;
}

}  // namespace reef::collectives
