#include "scheduler/job/local_steps.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/codec/edge.h"
#include "scheduler/job/job.h"

namespace reef::job {

Job island_of(const Job& job, Island island) {
  Job own = job;
  own.datacenters = {island.datacenters.at(island.index)};
  own.island = std::move(island);
  return own;
}

bool passes_on(const LocalSteps& local, std::uint32_t islands) {
  return islands <= 2 || codec::has_feedback(codec::parse_edge(local.codec).value());
}

Job at_pace(const Job& job, double factor) {
  const auto scaled = [factor](std::uint64_t steps) {
    return steps == 0 ? 0
                      : std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(
                                                       static_cast<double>(steps) * factor)));
  };
  Job own = job;
  own.training.steps = scaled(job.training.steps);
  own.optimizer.warmup_steps = std::min(scaled(job.optimizer.warmup_steps), own.training.steps - 1);
  own.evaluation.every = scaled(job.evaluation.every);
  own.checkpoints.every = scaled(job.checkpoints.every);
  // Of as many due dates, since islands count in these.
  const std::uint64_t dues = dues_in_interval(*job.local_steps);
  own.local_steps->inner_steps =
      dues * std::max<std::uint64_t>(scaled(job.local_steps->inner_steps / dues),
                                     job.local_steps->fragments);
  own.pace = job.pace * factor;
  return own;
}

std::uint64_t step_at_pace(const Job& job, std::uint64_t step, double pace) {
  if (pace == job.pace) return step;
  return static_cast<std::uint64_t>(std::llround(static_cast<double>(step) / pace * job.pace));
}

std::uint32_t dues_in_interval(const LocalSteps& local) {
  if (local.loss_guard == 0) return 1;
  for (const std::uint32_t dues : {4, 2}) {
    if (local.inner_steps % dues == 0 && local.inner_steps / dues >= local.fragments) return dues;
  }
  return 1;
}

std::optional<Job> in_local_steps(const Job& job, std::uint32_t datacenters,
                                  const LocalSteps& local) {
  const std::uint32_t leaves = std::bit_floor(job.training.leaves / datacenters);
  if (leaves == 0) return std::nullopt;
  Job own = job;
  own.automatic.reset();
  own.local_steps = local;
  own.training.leaves = leaves;
  own = at_pace(own, static_cast<double>(job.training.leaves) / (leaves * datacenters));
  own.local_steps = local;
  return own;
}

namespace {

/// Steps from one due date of a fragment to the next, and which of them it is.
struct Due {
  std::uint64_t every = 1, phase = 0;
};
Due due_of(const LocalSteps& local, std::uint32_t fragment) {
  const std::uint64_t every = local.inner_steps / dues_in_interval(local);
  return {every, (fragment + std::uint64_t{1}) * every / local.fragments % every};
}

}  // namespace

std::uint64_t dues_until(const LocalSteps& local, std::uint32_t fragment, std::uint64_t steps) {
  const Due due = due_of(local, fragment);
  const std::uint64_t first = due.phase == 0 ? due.every : due.phase;
  return steps < first ? 0 : (steps - first) / due.every + 1;
}

std::optional<std::uint32_t> fragment_due(const LocalSteps& local, std::uint64_t step) {
  for (std::uint32_t f = 0; f < local.fragments; ++f) {
    const Due due = due_of(local, f);
    if (step % due.every == due.phase) return f;
  }
  return std::nullopt;
}

}  // namespace reef::job
