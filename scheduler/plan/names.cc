#include "scheduler/plan/names.h"

namespace reef::plan {

std::string_view kind_name(ActorKind kind) {
  switch (kind) {
    case ActorKind::kDataLoader:
      return "data loader";
    case ActorKind::kLayerShard:
      return "layer shard";
    case ActorKind::kGradientSync:
      return "gradient sync";
    case ActorKind::kClipNorm:
      return "clip norm";
    case ActorKind::kOptimizer:
      return "optimizer";
    case ActorKind::kParameterStore:
      return "parameter store";
    case ActorKind::kOuterStore:
      return "outer store";
    case ActorKind::kCheckpointer:
      return "checkpointer";
    case ActorKind::kMetrics:
      return "metrics";
    case ActorKind::kSend:
      return "send";
    case ActorKind::kReceive:
      return "receive";
    case ActorKind::kAllGather:
      return "all-gather";
    case ActorKind::kAllReduce:
      return "all-reduce";
    case ActorKind::kJoin:
      return "join";
    case ActorKind::kPupil:
      return "pupil";
    case ActorKind::kTeacher:
      return "teacher";
  }
  return "unknown";
}

std::string_view content_name(Content content) {
  switch (content) {
    case Content::kTokens:
      return "tokens";
    case Content::kActivation:
      return "activation";
    case Content::kActivationGradient:
      return "activation gradient";
    case Content::kGradient:
      return "gradient";
    case Content::kWeights:
      return "weights";
    case Content::kScalars:
      return "scalars";
    case Content::kState:
      return "state";
    case Content::kExact:
      return "exact";
  }
  return "unknown";
}

std::string act_name(const Plan& plan, ActorId actor, std::uint32_t act) {
  return plan.actors[actor].name + "." + plan.actors[actor].acts[act].name;
}

}  // namespace reef::plan
