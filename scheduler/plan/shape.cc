#include "scheduler/plan/shape.h"

#include <algorithm>

#include "scheduler/plan/leaf_order.h"
#include "scheduler/plan/pieces.h"
#include "scheduler/plan/segments.h"
#include "scheduler/plan/sync_steps.h"

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
    case Content::kExact:
      return 'x';
  }
  return '!';
}

/// Of an act that fires once a micro-batch and bucket where these take turns.
std::uint32_t turns(const Plan& plan, const Actor& actor, std::uint32_t micro) {
  return micro * buckets_of(plan, actor).count();
}

std::vector<ActShape> sync_shapes(const Plan& plan, const Actor& actor, std::uint32_t micro,
                                  Sharing sharing) {
  const char* const last = sharing.state ? "gg?" : "gg?p?";
  if (plan.replicas == 1) return {{"g", last}};
  const std::uint32_t syncs = sharing.weights     ? turns(plan, actor, micro)
                              : sharing.gradients ? micro
                                                  : 1;
  SyncSteps steps = sync_steps(plan, actor);
  steps.near = sharing.state ? 0 : std::min(steps.near, steps.exchanges - 1);
  std::vector<ActShape> shapes{{"g", "gg", syncs}};
  for (std::uint32_t act = 1; act < steps.acts(); ++act) {
    const char* const given = act + 1 == steps.acts() ? last : act < steps.exchanges ? "gg" : "xx";
    shapes.push_back({steps.joins(act) ? "xx" : "gg", given, syncs});
  }
  return shapes;
}

/// The sync backwards: as many acts, of weights.
std::vector<ActShape> gather_shapes(const Plan& plan, const Actor& actor, std::uint32_t micro,
                                    Sharing sharing) {
  if (plan.replicas == 1) return {};
  const std::uint32_t often = sharing.weights ? turns(plan, actor, micro) : 1;
  const char* const gathered = sharing.weights ? "w" : "ww?";
  std::vector<ActShape> shapes{{sharing.weights ? "ww?" : "w", "ww", often}};
  for (std::uint32_t reach = 2; reach <= plan.replicas; reach *= 2)
    shapes.push_back({"ww", reach == plan.replicas ? gathered : "ww", often});
  return shapes;
}

/// `count` of a letter if there are as many ports, which have then brought what they cost us; else
/// what no port matches.
std::string repeated(char letter, std::uint64_t count, std::uint64_t ports) {
  return ports == count ? std::string(count, letter) : "!";
}

std::vector<ActShape> norm_shapes(const Actor& actor, const Plan& plan, bool sharded) {
  const std::uint64_t ports = actor.acts.empty() ? 0 : actor.acts[0].inputs.size();
  const std::uint64_t shards = std::uint64_t{plan.stages} * plan.ranks;
  const std::string squares = repeated('s', shards * (sharded ? plan.replicas : 1), ports);
  return {{squares, squares == "!" ? squares : std::string(shards, 's') + "s?"}};
}

std::vector<ActShape> optimizer_shapes(const Actor& actor, const Plan& plan, Sharing sharing) {
  const std::size_t measure = plan.ranks > 1 ? 1 : 0;
  if (actor.acts.size() != measure + 2) return std::vector<ActShape>(measure + 3);
  const std::uint64_t ports = actor.acts[measure].outputs.size();
  const std::string squares = sharing.state ? repeated('s', plan.replicas, ports - 1) : "s";
  // Of each bucket or of all, perhaps of tied uses.
  const std::uint64_t buckets = sharing.weights ? 1 : buckets_of(plan, actor).count();
  const std::uint64_t gradients = actor.acts[0].inputs.size();
  const std::string reduced = repeated('g', buckets, std::min(gradients, buckets)) + "g?";
  std::vector<ActShape> shapes;
  if (measure > 0) shapes.push_back({reduced, "gg?"});
  shapes.push_back({measure > 0 ? "gg?" : reduced, squares + "g"});
  shapes.push_back({"gsp?", sharing.weights ? "www?w?p?p?" : sharing.state ? "wp?p?" : "ww?p?p?"});
  return shapes;
}

/// One act forward and one backward, that fire for each bucket.
std::vector<ActShape> turn_shapes(const Segments& segments, bool first, std::uint32_t micro) {
  return {{first ? "tsw" : "asw", "aa", micro * segments.forward_firings(0)},
          {"daw", first ? "gs" : "gds", micro * segments.backward_firings(0)}};
}

/// What goes round a ring comes behind the rest.
std::vector<ActShape> pass_shapes(const Segments& segments, bool first, bool halves,
                                  std::uint32_t micro) {
  std::vector<ActShape> shapes;
  for (std::uint32_t i = 0; i < segments.count(); ++i) {
    const std::string input = i > 0 ? "a" : first ? "tww?" : "aww?";
    if (segments.is_ring(i))
      shapes.push_back({input + "a", "aaa", micro * segments.forward_firings(i)});
    else
      shapes.push_back({input, "aa", micro});
  }
  for (std::uint32_t i = 0; i < segments.count(); ++i) {
    const std::string given = halves ? "a" : segments.begins_bucket(i) ? "g" : "";
    const std::string result = given + (i > 0 || !first ? "d" : "");
    if (segments.is_ring(i))
      shapes.push_back({"daad", result + "ad", micro * segments.backward_firings(i)});
    else
      shapes.push_back({"da", result, micro});
  }
  for (std::uint32_t b = 0; b < segments.buckets().count() && halves; ++b)
    shapes.push_back({std::string(segments.count_of(b), 'a'), "g", micro});
  return shapes;
}

std::vector<ActShape> layer_shapes(const Actor& actor, const Plan& plan) {
  const bool last = actor.stage + 1 == plan.stages;
  const Segments segments = segments_of(plan, actor);
  const std::uint32_t micro = micro_batches_of(plan, actor.replica);
  const std::uint64_t judging = !last ? 0 : plan.ranks > 1 ? 2 : 1;
  const std::uint64_t least = 2 * std::uint64_t{segments.count()} + judging;
  // A hostile plan of many layers must bring the acts before they cost us.
  const bool halves =
      !segments.in_turn() && actor.acts.size() == least + segments.buckets().count();
  if (segments.count() == 0 || (actor.acts.size() != least && !halves))
    return std::vector<ActShape>(1);
  const bool first = actor.stage == 0;
  std::vector<ActShape> shapes = segments.in_turn() ? turn_shapes(segments, first, micro)
                                                    : pass_shapes(segments, first, halves, micro);
  if (judging == 1) shapes.push_back({"at", "ds", micro});
  if (judging == 2) {
    shapes.push_back({"at", "ax", micro});
    shapes.push_back({"ax", actor.rank == 0 ? "ds" : "d", micro});
  }
  return shapes;
}

/// As many acts as there are exchanges, and one, at the rate of the first.
std::vector<ActShape> all_reduce_shapes(const Actor& actor, std::uint32_t ranks,
                                        std::uint32_t micro) {
  if (ranks == 1 || actor.acts.empty()) return {};
  const std::uint32_t often = actor.acts[0].firings > 1 ? micro : 1;
  std::vector<ActShape> shapes{{".", "..", often}};
  for (std::uint32_t reach = 2; reach <= ranks; reach *= 2)
    shapes.push_back({"..", reach == ranks ? "." : "..", often});
  return shapes;
}

/// Behind the stages' parts the residuals of as many buckets as save any; or a part of each shard.
std::string writer_inputs(const Actor& actor, const Plan& plan) {
  const std::uint64_t ports = actor.acts.empty() ? 0 : actor.acts[0].inputs.size();
  const std::uint64_t least = std::uint64_t{plan.stages} * plan.ranks;
  const std::uint64_t most =
      least + plan.replicas * (least + std::uint64_t{plan.ranks} * plan.buckets.size());
  return std::string(std::clamp<std::uint64_t>(ports, least, most), 'p');
}

std::vector<ActShape> outer_store_shapes(const Actor& actor, const Plan& plan, bool sharded) {
  if (actor.acts.size() != 1) return std::vector<ActShape>(1);
  const std::uint64_t shards = std::uint64_t{plan.stages} * plan.ranks;
  return {{repeated('p', shards * (sharded ? plan.replicas : 1), actor.acts[0].inputs.size()),
           repeated('p', shards * plan.replicas, actor.acts[0].outputs.size())}};
}

std::vector<ActShape> metrics_shapes(const Plan& plan) {
  std::vector<ActShape> shapes;
  for (std::uint32_t r = 0; r < plan.replicas; ++r)
    shapes.push_back({"s", "", micro_batches_of(plan, r)});
  shapes.push_back({"s", ""});
  return shapes;
}

}  // namespace

Sharing sharing_of(const Plan& plan) {
  const bool state = is_sharded(plan);
  return {state, state && sums_each_micro_batch(plan), plan.shares_weights};
}

std::vector<ActShape> shapes_of(const Actor& actor, const Plan& plan, Sharing sharing) {
  const std::uint32_t micro = micro_batches_of(plan, actor.replica);
  switch (actor.kind) {
    case ActorKind::kDataLoader:
      return {{"", std::string(std::size_t{2} * plan.ranks, 't'), micro}};
    case ActorKind::kLayerShard:
      return layer_shapes(actor, plan);
    case ActorKind::kGradientSync:
      return sync_shapes(plan, actor, micro, sharing);
    case ActorKind::kClipNorm:
      return norm_shapes(actor, plan, sharing.state);
    case ActorKind::kOptimizer:
      return optimizer_shapes(actor, plan, sharing);
    case ActorKind::kParameterStore:
      return {{"p", "p"}};
    case ActorKind::kOuterStore:
      return outer_store_shapes(actor, plan, sharing.state);
    case ActorKind::kCheckpointer:
      return {{writer_inputs(actor, plan), ""}};
    case ActorKind::kMetrics:
      // The one kind with many acts: a hostile plan of many such actors must bring the acts before
      // they cost us.
      return actor.acts.size() == plan.replicas + 1 ? metrics_shapes(plan)
                                                    : std::vector<ActShape>(1);
    case ActorKind::kSend:
    case ActorKind::kReceive:
      return {{".", "."}};
    case ActorKind::kAllGather:
      return gather_shapes(plan, actor, micro, sharing);
    case ActorKind::kAllReduce:
    case ActorKind::kJoin:
      return all_reduce_shapes(actor, plan.ranks, micro);
    case ActorKind::kPupil:
      return {{"t", "t", micro}};
    case ActorKind::kTeacher:
      return {{"", ""}};
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
