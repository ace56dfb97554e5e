#include "actors/core/factory.h"

#include <algorithm>

#include "actors/checkpoint/checkpointer.h"
#include "actors/checkpoint/format/checkpoint.h"
#include "actors/data/data_loader.h"
#include "actors/metrics/metrics.h"
#include "actors/model/layer_shard.h"
#include "actors/optimize/all_gather.h"
#include "actors/optimize/clip_norm.h"
#include "actors/optimize/optimizer.h"
#include "actors/store/local_steps/outer_store.h"
#include "actors/store/parameter_store.h"
#include "actors/sync/all_reduce.h"
#include "actors/sync/gradient_sync.h"
#include "actors/sync/halving.h"
#include "actors/sync/join.h"
#include "actors/teach/pupil.h"
#include "actors/teach/teacher.h"
#include "actors/wire/receive.h"
#include "actors/wire/send.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_task(const TaskSetup& setup, const plan::Actor& actor) {
  switch (actor.kind) {
    case plan::ActorKind::kDataLoader:
      return make_data_loader(setup, actor);
    case plan::ActorKind::kLayerShard:
      return make_layer_shard(setup, actor);
    case plan::ActorKind::kGradientSync:
      return plan::is_sharded(setup.plan) ? make_halving_sync(setup, actor)
                                          : make_gradient_sync(setup, actor);
    case plan::ActorKind::kClipNorm:
      return make_clip_norm(setup, actor);
    case plan::ActorKind::kOptimizer:
      return make_optimizer(setup, actor);
    case plan::ActorKind::kParameterStore:
      return make_parameter_store(setup, actor);
    case plan::ActorKind::kOuterStore:
      return make_outer_store(setup, actor);
    case plan::ActorKind::kCheckpointer:
      return make_checkpointer(setup, actor);
    case plan::ActorKind::kMetrics:
      return make_metrics(setup, actor);
    case plan::ActorKind::kSend:
      return make_send(setup, actor);
    case plan::ActorKind::kReceive:
      return make_receive(setup, actor);
    case plan::ActorKind::kAllGather:
      return make_all_gather(setup, actor);
    case plan::ActorKind::kAllReduce:
      return make_all_reduce(setup, actor);
    case plan::ActorKind::kJoin:
      return make_join(setup, actor);
    case plan::ActorKind::kPupil:
      return make_pupil(setup, actor);
    case plan::ActorKind::kTeacher:
      return make_teacher(setup, actor);
  }
  return Error{Code::kProto, actor.name, "unknown kind of actor"};
}

Result<std::uint64_t> first_step(const job::Job& job) {
  if (job.island && job.island->first_step > 0) return job.island->first_step;
  if (job.checkpoints.resume.empty()) return std::uint64_t{0};
  ATOLL_ASSIGN(const auto checkpoint, checkpoint::Checkpoint::open(job.checkpoints.resume));
  const std::uint64_t step =
      job::step_at_pace(job, checkpoint.step(), checkpoint.description().pace);
  return std::min(step, job.training.steps - 1);
}

}  // namespace reef::actors
