#include "scheduler/plan/layout/pipeline.h"

#include <algorithm>
#include <cmath>

#include "scheduler/cost/cost.h"
#include "scheduler/plan/layout.h"

namespace reef::plan {
namespace {

using ops::DType;

class Pipeline {
 public:
  explicit Pipeline(Frame& frame) : f_(frame) {}

  void connect_forward(std::uint32_t index) {
    const Replica& replica = f_.replicas[index];
    const std::uint64_t token_bytes = 4 * tokens_per_leaf(f_.job);
    f_.builder.connect({"tokens" + of_replica(index), replica.load, replica.shards[0].forward,
                        Content::kTokens, f_.micro, f_.job.data.prefetch, 0, token_bytes,
                        DType::kI32});
    for (std::uint32_t s = 0; s < f_.last; ++s) {
      f_.builder.connect({"hidden" + of_shard(index, s), replica.shards[s].forward,
                          replica.shards[s + 1].forward, Content::kActivation, f_.micro, 2, 0,
                          f_.hidden_bytes(), f_.spec.activations});
    }
    f_.builder.connect({"logits" + of_replica(index), replica.shards[f_.last].forward, replica.loss,
                        Content::kActivation, f_.micro, 1, 0, f_.logits_bytes()});
    // Targets wait while their tokens do, and then while those pass through the pipeline.
    f_.builder.connect({"targets" + of_replica(index), replica.load, replica.loss, Content::kTokens,
                        f_.micro, stash_slots(index, 0) - 1 + f_.job.data.prefetch, 0, token_bytes,
                        DType::kI32});
  }

  void connect_backward(std::uint32_t index) {
    const Replica& replica = f_.replicas[index];
    f_.builder.connect({"logits-gradient" + of_replica(index), replica.loss,
                        replica.shards[f_.last].backward, Content::kActivationGradient, f_.micro, 1,
                        0, f_.logits_bytes()});
    for (std::uint32_t s = f_.stages; s-- > 0;) {
      const Shard& shard = replica.shards[s];
      if (f_.in_halves()) {
        f_.builder.connect({"rest" + of_shard(index, s), shard.backward, shard.gradients,
                            Content::kActivation, f_.micro, rest_slots(index, s), 0,
                            f_.sizes[s].later, f_.spec.activations});
      }
      f_.builder.connect({"gradients" + of_shard(index, s), shard.gradients, shard.sync[0],
                          Content::kGradient, 1, 1, 0, f_.sizes[s].all_gradients()});
      if (s == 0) break;
      f_.builder.connect({"hidden-gradient" + of_shard(index, s), shard.backward,
                          replica.shards[s - 1].backward, Content::kActivationGradient, f_.micro, 2,
                          0, f_.hidden_bytes(), f_.spec.activations});
    }
    for (std::uint32_t s = 0; s < f_.stages; ++s) {
      const Shard& shard = replica.shards[s];
      f_.builder.connect({"stash" + of_shard(index, s), shard.forward, shard.backward,
                          Content::kActivation, f_.micro, stash_slots(index, s), 0,
                          f_.sizes[s].stash, f_.spec.activations});
    }
    f_.builder.connect({"report" + of_replica(index), replica.loss, replica.record,
                        Content::kScalars, f_.micro, 2, 0, kReportBytes, DType::kF64});
  }

 private:
  /// Micro-batches that are on the lines behind stage s, there and back, while all devices work.
  std::uint32_t under_way(std::uint32_t replica, std::uint32_t s) const {
    double way = 0, period = 0;
    for (std::uint32_t k = 0; k < f_.stages; ++k) {
      const topology::Node& here = f_.topology.nodes[f_.node(replica, k)];
      period =
          std::max(period, f_.sizes[k].flops / cost::flops_per_second(here.device, here.threads));
      if (k < s || k == f_.last || f_.node(replica, k) == f_.node(replica, k + 1)) continue;
      const topology::Line line = topology::line_between(
          f_.topology, here.datacenter, f_.topology.nodes[f_.node(replica, k + 1)].datacenter);
      way += seconds(line.round_trip) +
             2 * cost::transfer_seconds(line, static_cast<double>(f_.hidden_bytes()));
    }
    return static_cast<std::uint32_t>(std::ceil(std::min(way / period, 1e6)));
  }
  /// 1F1B by credit (arXiv 1806.03377): stage s of S lets S - s micro-batches in before the first
  /// must come back, and those that are under way.
  std::uint32_t stash_slots(std::uint32_t replica, std::uint32_t s) const {
    return std::min(f_.micro, f_.stages - s + under_way(replica, s));
  }
  /// In halves stage s may leave the gradients of weights of s + 1 for later, so that all stages
  /// hold activations of about as many micro-batches (arXiv 2401.10241, ZB-H1).
  std::uint32_t rest_slots(std::uint32_t replica, std::uint32_t s) const {
    return std::min(f_.micro, s + 1 + under_way(replica, 0));
  }

  Frame& f_;
};

}  // namespace

void connect_forward(Frame& frame, std::uint32_t replica) {
  Pipeline(frame).connect_forward(replica);
}

void connect_backward(Frame& frame, std::uint32_t replica) {
  Pipeline(frame).connect_backward(replica);
}

}  // namespace reef::plan
