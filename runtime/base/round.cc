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
  const bool evaluates = previous && evaluation_rounds > 0 &&
                         due(previous->step, evaluate_every, steps) &&
                         previous->evaluation < evaluation_rounds;
  if (evaluates) {
    round.evaluation = previous->evaluation + 1;
    round.last = round.step == steps && round.evaluation == evaluation_rounds;
    return round;
  }
  round.step += 1;
  round.snapshot = due(round.step, snapshot_every, steps);
  round.last = round.step == steps && evaluation_rounds == 0;
  return round;
}

}  // namespace reef
