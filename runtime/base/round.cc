#include "runtime/base/round.h"

#include "runtime/base/check.h"

namespace reef {
namespace {

bool due(std::uint64_t step, std::uint64_t every, std::uint64_t steps) {
  return step == steps || (every != 0 && step % every == 0);
}

}  // namespace

Round RoundSchedule::next(const Round* previous) const {
  CHECK(previous == nullptr || !previous->last);
  Round round;
  round.number = previous ? previous->number + 1 : 0;
  round.step = previous ? previous->step : first_step;
  if (previous && previous->settling && previous->training()) {
    round.evaluation = 1;
    round.settling = round.snapshot = true;
    round.last = evaluation_rounds == 0;
    return round;
  }
  const std::uint32_t evaluated = previous && !previous->settling ? previous->evaluation : 0;
  const bool evaluates =
      previous && evaluated < evaluation_rounds && due(previous->step, evaluate_every, steps);
  if (evaluates) {
    round.evaluation = evaluated + 1;
    round.last = round.step == steps && round.evaluation == evaluation_rounds;
    return round;
  }
  round.step += 1;
  const bool final = round.step == steps;
  round.settling = settles && final;
  round.snapshot = due(round.step, snapshot_every, steps) && !round.settling;
  round.last = final && evaluation_rounds == 0 && !settles;
  return round;
}

}  // namespace reef
