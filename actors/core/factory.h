#pragma once
// The actor factory: from an actor of the plan to the task that does its work. The one table of all
// kinds.

#include <memory>
#include <string>

#include "actors/core/task.h"
#include "ops/nn/spec.h"
#include "runtime/node/events.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/plan.h"

namespace reef::actors {

class Lessons;
class Post;

/// What tasks are made from. Everything outlives the tasks.
struct TaskSetup {
  const plan::Plan& plan;
  const job::Job& job;
  const nn::ModelSpec& model;  ///< what the task's rank has of the job's
  node::Events& events;
  node::Wire& wire;
  const Clock& clock;
  std::string run_folder;  ///< where this node writes metrics and checkpoints
  Post* post = nullptr;    ///< of the outer store, where there is one, of a teacher or a student
  Lessons* lessons = nullptr;  ///< of a student
};

/// Failure: what the task cannot open (data, a checkpoint to resume from), named.
Result<std::unique_ptr<Task>> make_task(const TaskSetup& setup, const plan::Actor& actor);

/// First training step of the job minus one: the step of the checkpoint it resumes from, or 0.
Result<std::uint64_t> first_step(const job::Job& job);

}  // namespace reef::actors
