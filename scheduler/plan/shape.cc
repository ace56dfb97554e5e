#include "scheduler/plan/shape.h"

#include <algorithm>

namespace reef::plan {
namespace {

char letter(Content content) {
  switch (content) {
    case Content::kTokens:
      return 't';
    case Content::kActivation:
      return 'a';
    case Content::kActivationGradient:
      return 'd';
    case Content::kGradient:
      return 'g';
    case Content::kWeights:
      return 'w';
    case Content::kScalars:
      return 's';
    case Content::kState:
      return 'p';
  }
  return '!';
}

std::vector<ActShape> sync_shapes(std::uint32_t replicas) {
  if (replicas == 1) return {{"g", "gg?p?"}};
  std::vector<ActShape> shapes{{"g", "gg"}};
  for (std::uint32_t reach = 2; reach <= replicas; reach *= 2) {
    shapes.push_back({"gg", reach == replicas ? "gg?p?" : "gg"});
  }
  return shapes;
}

/// The sync backwards: as many acts, of weights.
std::vector<ActShape> gather_shapes(std::uint32_t replicas) {
  if (replicas == 1) return {};
  std::vector<ActShape> shapes{{"w", "ww"}};
  for (std::uint32_t reach = 2; reach <= replicas; reach *= 2)
    shapes.push_back({"ww", reach == replicas ? "ww?" : "ww"});
  return shapes;
}

/// `count` scalars if there are as many ports, which have then brought what they cost us; else
/// what no port matches.
std::string scalars(std::uint64_t count, std::uint64_t ports) {
  return ports == count ? std::string(count, 's') : "!";
}

std::vector<ActShape> norm_shapes(const Actor& actor, const Plan& plan, bool sharded) {
  const std::uint64_t ports = actor.acts.empty() ? 0 : actor.acts[0].inputs.size();
  const std::uint64_t squares = std::uint64_t{plan.stages} * (sharded ? plan.replicas : 1);
  return {{scalars(squares, ports), std::string(plan.stages, 's') + "s?"}};
}

std::vector<ActShape> optimizer_shapes(const Actor& actor, const Plan& plan, bool sharded) {
  if (!sharded) return {{"gg?", "sg"}, {"gs", "ww?p?"}};
  const std::uint64_t ports = actor.acts.empty() ? 0 : actor.acts[0].outputs.size();
  return {{"gg?", scalars(plan.replicas, ports - 1) + "g"}, {"gs", "wp?"}};
}

std::vector<ActShape> layer_shapes(const Actor& actor, const Plan& plan) {
  const bool first = actor.stage == 0;
  const bool last = actor.stage + 1 == plan.stages;
  const bool halves = actor.acts.size() == (last ? 4 : 3);
  std::vector<ActShape> shapes{{first ? "tww?" : "aww?", "aa", true}};
  if (halves) {
    shapes.push_back({"da", first ? "a" : "ad", true});
    shapes.push_back({"a", "g", true});
  } else {
    shapes.push_back({"da", first ? "g" : "gd", true});
  }
  if (last) shapes.push_back({"at", "ds", true});
  return shapes;
}

/// Behind the stages' parts the residuals of as many shards as save any; or a part of each shard.
std::string writer_inputs(const Actor& actor, const Plan& plan) {
  const std::uint64_t ports = actor.acts.empty() ? 0 : actor.acts[0].inputs.size();
  const std::uint64_t most = plan.stages + std::uint64_t{plan.replicas} * plan.stages;
  return std::string(std::clamp<std::uint64_t>(ports, plan.stages, most), 'p');
}

std::vector<ActShape> metrics_shapes(std::uint32_t replicas) {
  std::vector<ActShape> shapes(replicas, {"s", "", true});
  shapes.push_back({"s", ""});
  return shapes;
}

}  // namespace

std::vector<ActShape> shapes_of(const Actor& actor, const Plan& plan, bool sharded) {
  switch (actor.kind) {
    case ActorKind::kDataLoader:
      return {{"", "tt", true}};
    case ActorKind::kLayerShard:
      return layer_shapes(actor, plan);
    case ActorKind::kGradientSync:
      return sync_shapes(plan.replicas);
    case ActorKind::kClipNorm:
      return norm_shapes(actor, plan, sharded);
    case ActorKind::kOptimizer:
      return optimizer_shapes(actor, plan, sharded);
    case ActorKind::kParameterStore:
      return {{"p", "p"}};
    case ActorKind::kCheckpointer:
      return {{writer_inputs(actor, plan), ""}};
    case ActorKind::kMetrics:
      // The one kind with many acts: a hostile plan of many such actors must bring the acts before
      // they cost us.
      return actor.acts.size() == plan.replicas + 1 ? metrics_shapes(plan.replicas)
                                                    : std::vector<ActShape>(1);
    case ActorKind::kSend:
    case ActorKind::kReceive:
      return {{".", "."}};
    case ActorKind::kAllGather:
      return gather_shapes(plan.replicas);
  }
  return {};
}

bool matches(const std::string& shape, const std::vector<Content>& contents) {
  std::size_t port = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == '?') continue;
    const bool here =
        port < contents.size() && (shape[i] == '.' || shape[i] == letter(contents[port]));
    const bool optional = i + 1 < shape.size() && shape[i + 1] == '?';
    if (here)
      ++port;
    else if (!optional)
      return false;
  }
  return port == contents.size();
}

}  // namespace reef::plan
