#include "collectives/algorithms/schedule.h"

#include <algorithm>

namespace reef::collectives {

Range part_of(Range range, std::uint64_t parts, std::uint64_t number) {
  const std::uint64_t each = range.size() / parts, larger = range.size() % parts;
  const auto begins = [&](std::uint64_t part) {
    return range.begin + part * each + std::min(part, larger);
  };
  return {begins(number), begins(number + 1)};
}

std::vector<Step> steps_of(const Schedule& schedule, Rank rank) {
  std::vector<Step> own;
  std::ranges::copy_if(schedule.steps, std::back_inserter(own),
                       [rank](const Step& step) { return step.from == rank || step.to == rank; });
  return own;
}

std::uint64_t elements_between(const Schedule& schedule, Rank from, Rank to) {
  std::uint64_t sum = 0;
  for (const Step& step : schedule.steps) {
    const bool there = step.from == from && step.to == to;
    const bool back = step.action == Action::kExchange && step.from == to && step.to == from;
    if (there || back) sum += step.source.size();
  }
  return sum;
}

Status check(const Schedule& schedule) {
  if (schedule.elements.size() != schedule.world)
    return Error{Code::kInternal, schedule.algorithm, "not one buffer a rank"};
  for (std::size_t i = 0; i < schedule.steps.size(); ++i) {
    const Step& step = schedule.steps[i];
    const bool known =
        step.from < schedule.world && step.to < schedule.world && step.from != step.to;
    const bool inside = known && step.source.begin < step.source.end &&
                        step.source.end <= schedule.elements[step.from] &&
                        step.destination().end <= schedule.elements[step.to] &&
                        (step.action != Action::kExchange || step.target == step.source.begin);
    if (!inside)
      return Error{Code::kInternal, schedule.algorithm + ", step " + std::to_string(i),
                   "is outside of the ranks or their buffers"};
  }
  return {};
}

}  // namespace reef::collectives
