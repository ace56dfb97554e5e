#include "scheduler/plan/layout.h"

#include <bit>

#include "scheduler/plan/layout/frame.h"
#include "scheduler/plan/layout/pipeline.h"
#include "scheduler/plan/layout/sync.h"
#include "scheduler/plan/layout/weights.h"

namespace reef::plan {
namespace {

constexpr std::int32_t kWeightsPriority = -1;  ///< fills gaps: only the optimizer waits for it

class Actors {
 public:
  explicit Actors(Frame& frame) : f_(frame) {}

  void add_actors() {
    for (std::uint32_t replica = 0; replica < f_.shards.replicas; ++replica) add_replica(replica);
    const ActorId metrics = f_.add(ActorKind::kMetrics, "metrics", 0, f_.last);
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
      f_.replicas[i].record = f_.builder.add_act(metrics, "record " + std::to_string(i), f_.micro);
    }
    f_.metrics_norm = f_.builder.add_act(metrics, "norm");
    for (std::uint32_t r = 0; r < f_.deal->owners(); ++r) {
      for (std::uint32_t s = 0; s < f_.stages; ++s) {
        const std::string name = (f_.sharded ? "store/r" + std::to_string(r) : "store") + "/s";
        const ActorId store = f_.add(ActorKind::kParameterStore, name + std::to_string(s), r, s);
        f_.publish.push_back(f_.builder.add_act(store, "publish"));
      }
    }
    f_.write =
        f_.builder.add_act(f_.add(ActorKind::kCheckpointer, "checkpointer", 0, f_.last), "write");
  }

 private:
  /// Forward of an earlier stage of a device goes first: all other devices wait for it.
  std::int32_t forward_priority(std::uint32_t s) const {
    return static_cast<std::int32_t>(f_.schedule.stages_per_device - 1 - s / f_.shards.stages);
  }
  /// Backward goes before forward: it frees a stash before the next forward fills one.
  std::int32_t backward_priority() const {
    return static_cast<std::int32_t>(f_.schedule.stages_per_device);
  }
  std::int32_t loss_priority() const { return backward_priority() + 1; }

  void add_replica(std::uint32_t index) {
    const std::string suffix = "/r" + std::to_string(index);
    Replica replica;
    replica.load = f_.builder.add_act(f_.add(ActorKind::kDataLoader, "loader" + suffix, index, 0),
                                      "load", f_.micro);
    for (std::uint32_t s = 0; s < f_.stages; ++s) replica.shards.push_back(add_shard(index, s));
    replica.loss =
        f_.builder.add_act(replica.shards[f_.last].actor, "loss", f_.micro, loss_priority());
    replica.norm =
        f_.builder.add_act(f_.add(ActorKind::kClipNorm, "norm" + suffix, index, f_.last), "norm");
    f_.replicas.push_back(std::move(replica));
  }

  Shard add_shard(std::uint32_t replica, std::uint32_t s) {
    const std::string suffix = "/r" + std::to_string(replica) + "/s" + std::to_string(s);
    // Leaves are summed as a balanced tree: at most one partial sum for each level waits for its
    // sibling.
    const std::uint64_t partial_sums = static_cast<std::uint64_t>(std::bit_width(f_.micro));
    Shard shard;
    shard.actor = f_.add(ActorKind::kLayerShard, "layers" + suffix, replica, s,
                         partial_sums * f_.sizes[s].all_gradients() + f_.sizes[s].recomputed);
    shard.forward = f_.builder.add_act(shard.actor, "forward", f_.micro, forward_priority(s));
    shard.backward = shard.gradients = f_.builder.add_act(
        shard.actor, f_.in_halves() ? "backward input" : "backward", f_.micro, backward_priority());
    if (f_.in_halves()) {
      shard.gradients =
          f_.builder.add_act(shard.actor, "backward weights", f_.micro, kWeightsPriority);
    }
    // A codec with feedback works on a copy as long as what it remembers.
    const ActorId sync = f_.add(ActorKind::kGradientSync, "sync" + suffix, replica, s,
                                2 * remembered(f_, replica, s).held);
    shard.sync.push_back(f_.builder.add_act(sync, "offer"));
    for (std::uint32_t k = 0; (1u << k) < f_.shards.replicas; ++k) {
      shard.sync.push_back(f_.builder.add_act(sync, "combine " + std::to_string(k)));
    }
    const ActorId optimizer = f_.add(ActorKind::kOptimizer, "optimizer" + suffix, replica, s,
                                     f_.share(replica, s).state());
    shard.measure = f_.builder.add_act(optimizer, "measure");
    shard.update = f_.builder.add_act(optimizer, "update");
    if (!f_.sharded) return shard;
    const ActorId gather = f_.add(ActorKind::kAllGather, "gather" + suffix, replica, s);
    shard.gather.push_back(f_.builder.add_act(gather, "offer"));
    for (std::uint32_t j = 0; j < f_.exchanges; ++j)
      shard.gather.push_back(f_.builder.add_act(gather, "combine " + std::to_string(j)));
    return shard;
  }

  Frame& f_;
};

Plan finish(Frame& frame) {
  Plan& plan = frame.builder.plan();
  plan.job = frame.job.name;
  plan.descriptor = job::job_to_json(frame.job);
  plan.replicas = frame.shards.replicas;
  plan.stages = frame.stages;
  plan.leaves = frame.job.training.leaves;
  return std::move(plan);
}

}  // namespace

std::uint64_t tokens_per_leaf(const job::Job& job) {
  return std::uint64_t{job.training.sequences_per_leaf} * job.training.context;
}

Plan lay_out(const job::Job& job, const topology::Topology& topology, placement::Spread spread) {
  Frame frame(job, topology, spread);
  Actors(frame).add_actors();
  for (std::uint32_t r = 0; r < frame.shards.replicas; ++r) {
    connect_forward(frame, r);
    connect_backward(frame, r);
  }
  for (std::uint32_t s = 0; s < frame.stages; ++s) connect_sync(frame, s);
  connect_squares(frame);
  connect_weights(frame);
  connect_state(frame);
  return finish(frame);
}

}  // namespace reef::plan
