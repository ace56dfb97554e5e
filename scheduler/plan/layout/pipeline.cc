#include "scheduler/plan/layout/pipeline.h"

#include <algorithm>
#include <cmath>

#include "scheduler/cost/cost.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/layout/all_reduce.h"

namespace reef::plan {
namespace {

using ops::DType;

constexpr std::uint64_t kTurnBytes = 64;  ///< of nothing but that it came

/// How many micro-batches may be under way at a stage.
class Slots {
 public:
  Slots(const Frame& frame, std::uint32_t replica) : f_(frame), index_(replica) {}

  /// 1F1B by credit (arXiv 1806.03377): stage s of S lets S - s micro-batches in before the first
  /// must come back, and those that are under way; and where a network lies between those who share
  /// layers or sequences one more, which computes meanwhile.
  std::uint32_t stash(std::uint32_t s) const {
    return std::min(f_.micro(index_),
                    f_.stages - s + under_way(s) + (sharers_are_apart(s) ? 1 : 0));
  }
  /// In halves stage s may leave the gradients of weights of s + 1 for later, so that all stages
  /// hold activations of about as many micro-batches (arXiv 2401.10241, ZB-H1).
  std::uint32_t rest(std::uint32_t s) const {
    return std::min(f_.micro(index_), s + 1 + under_way(0) + (sharers_are_apart(s) ? 1 : 0));
  }

 private:
  /// Micro-batches that are on the lines behind stage s, there and back, while all devices work.
  std::uint32_t under_way(std::uint32_t s) const {
    double way = 0, period = 0;
    for (std::uint32_t k = 0; k < f_.stages; ++k) {
      const Place place{index_, k}, next{index_, k + 1};
      const topology::Node& here = f_.topology.nodes[f_.node(place)];
      period = std::max(period,
                        f_.size(place).flops / cost::flops_per_second(here.device, here.threads));
      if (k < s || k == f_.last || f_.node(place) == f_.node(next)) continue;
      const topology::Line line = topology::line_between(
          f_.topology, here.datacenter, f_.topology.nodes[f_.node(next)].datacenter);
      way += seconds(line.round_trip) +
             2 * cost::transfer_seconds(line, static_cast<double>(f_.hidden_bytes()));
    }
    return static_cast<std::uint32_t>(std::ceil(std::min(way / period, 1e6)));
  }
  bool sharers_are_apart(std::uint32_t s) const {
    const std::uint32_t first = index_ - index_ % f_.shards.context;
    const Place last{first + f_.shards.context - 1, s, f_.shards.ranks - 1};
    return f_.node({first, s, 0}) != f_.node(last);
  }

  const Frame& f_;
  const std::uint32_t index_;
};

class Pipeline {
 public:
  Pipeline(Frame& frame, std::uint32_t replica)
      : f_(frame), index_(replica), replica_(frame.replicas[replica]), slots_(frame, replica) {}

  void connect_forward() {
    const std::uint64_t token_bytes = f_.token_bytes();
    for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
      f_.builder.connect({"tokens" + f_.of_rank(index_, t), replica_.load,
                          replica_.shards[0][t].forward[0], Content::kTokens, f_.micro(index_),
                          f_.job.data.prefetch, 0, token_bytes, DType::kI32});
    }
    for (std::uint32_t s = 0; s < f_.stages; ++s) connect_forward(s);
    for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
      const Shard& shard = replica_.shards[f_.last][t];
      f_.builder.connect({"logits" + f_.of_rank(index_, t), shard.forward.back(), judge(shard),
                          Content::kActivation, f_.micro(index_), 1, 0, f_.logits_bytes(t)});
    }
    if (f_.job.distillation) {
      f_.builder.connect({"asked" + f_.of_replica(index_), replica_.load, replica_.ask,
                          Content::kTokens, f_.micro(index_), 1, 0, 2 * token_bytes, DType::kI32});
    }
    // Targets wait while their tokens do, and then while those pass through the pipeline.
    for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
      f_.builder.connect({"targets" + f_.of_rank(index_, t),
                          f_.job.distillation ? replica_.ask : replica_.load,
                          judge(replica_.shards[f_.last][t]), Content::kTokens, f_.micro(index_),
                          slots_.stash(0) - 1 + f_.job.data.prefetch, 0, token_bytes, DType::kI32});
    }
    if (f_.shards.ranks > 1) connect_statistics(token_bytes);
  }

  void connect_backward() {
    for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
      const Shard& shard = replica_.shards[f_.last][t];
      f_.builder.connect({"logits-gradient" + f_.of_rank(index_, t), shard.loss,
                          shard.backward.back(), Content::kActivationGradient, f_.micro(index_), 1,
                          0, f_.logits_bytes(t)});
    }
    for (std::uint32_t s = f_.stages; s-- > 0;) connect_backward(s);
    for (std::uint32_t s = 0; s < f_.stages; ++s) connect_stashes(s);
    f_.builder.connect({"report" + f_.of_replica(index_), replica_.shards[f_.last][0].loss,
                        replica_.record, Content::kScalars, f_.micro(index_), 2, 0, kReportBytes,
                        DType::kF64});
  }

 private:
  /// The act that sees the logits.
  const ActRef& judge(const Shard& shard) const {
    return f_.shards.ranks > 1 ? shard.statistics : shard.loss;
  }

  /// What is added up or handed on behind each segment of a stage, but the head.
  void connect_forward(std::uint32_t s) {
    const std::uint32_t segments = f_.segments(s);
    for (std::uint32_t i = 0; i < segments; ++i) {
      const bool last = i + 1 == segments;
      if (last && s == f_.last) return;
      std::vector<ActRef> from, to;
      for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
        from.push_back(replica_.shards[s][t].forward[i]);
        to.push_back(last ? replica_.shards[s + 1][t].forward[0]
                          : replica_.shards[s][t].forward[i + 1]);
      }
      hand_on("hidden", s, i, Content::kActivation, from, to, last);
    }
  }

  void connect_backward(std::uint32_t s) {
    const std::uint32_t segments = f_.segments(s);
    for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
      const Shard& shard = replica_.shards[s][t];
      const Place place{index_, s, t};
      const Segments of_stage = f_.segments_of(s);
      for (std::uint32_t i = segments; i-- > 0 && f_.in_halves();) {
        f_.builder.connect({"rest" + f_.of_segment(place, i), shard.backward[i],
                            shard.gradients[of_stage.bucket_of(i)], Content::kActivation,
                            f_.micro(index_), slots_.rest(s), 0, f_.segment_size(place, i).later,
                            f_.activations});
      }
      // One slot: the sync is on its way while the next backward computes. A second one would only
      // hold more of what is not to be held.
      for (std::uint32_t i = 0; i < f_.syncs(s); ++i) {
        const std::uint64_t bytes = largest(
            f_.synced(place, i), [](const Bucket& bucket) { return bucket.size.all_gradients(); });
        f_.builder.connect({"gradients" + f_.of_sync(place, i), shard.gradients[i],
                            shard.sync[i][0], Content::kGradient, f_.sync_firings(s), 1, 0, bytes});
      }
    }
    for (std::uint32_t i = segments; i-- > 0;) {
      if (i == 0 && s == 0) return;
      std::vector<ActRef> from, to;
      for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
        from.push_back(replica_.shards[s][t].backward[i]);
        to.push_back(i == 0 ? replica_.shards[s - 1][t].backward.back()
                            : replica_.shards[s][t].backward[i - 1]);
      }
      hand_on("hidden-gradient", s, i, Content::kActivationGradient, from, to, i == 0);
    }
  }

  void connect_stashes(std::uint32_t s) {
    for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
      const Shard& shard = replica_.shards[s][t];
      const Place place{index_, s, t};
      for (std::uint32_t i = 0; i < f_.segments(s); ++i) {
        f_.builder.connect({"stash" + f_.of_segment(place, i), shard.forward[i], shard.backward[i],
                            Content::kActivation, f_.micro(index_), slots_.stash(s), 0,
                            f_.segment_size(place, i).stash, f_.activations});
      }
      if (f_.in_turn) connect_turns(place, shard);
    }
  }

  /// Forward makes a stash with its last bucket, but begins one with its first: as many as may lie
  /// there may have begun.
  void connect_turns(Place place, const Shard& shard) {
    const std::uint32_t stashes = slots_.stash(place.stage);
    f_.builder.connect({"turns" + f_.of_shard(place), shard.backward[0], shard.forward[0],
                        Content::kScalars, f_.micro(index_), stashes, stashes, kTurnBytes,
                        DType::kF64});
  }

  /// What ranks made of a segment: their sum, to each of them; of one rank, as it is.
  void hand_on(const std::string& what, std::uint32_t s, std::uint32_t segment, Content content,
               const std::vector<ActRef>& from, const std::vector<ActRef>& to, bool leaves_stage) {
    const std::uint32_t slots = leaves_stage ? 2 : 1;
    if (f_.shards.ranks == 1) {
      const Place place{index_, s};
      const std::string name = leaves_stage ? f_.of_shard(place) : f_.of_segment(place, segment);
      f_.builder.connect({what + name, from[0], to[0], content, f_.micro(index_), slots, 0,
                          f_.hidden_bytes(), f_.activations});
      return;
    }
    connect_all_reduce(
        f_, {index_, s},
        {what + ".r" + std::to_string(index_) + ".s" + std::to_string(s) + ".l" +
             std::to_string(segment),
         content, f_.micro(index_), f_.hidden_bytes(), f_.activations, slots, from, to});
  }

  /// Of the logits, whose columns the ranks share.
  void connect_statistics(std::uint64_t token_bytes) {
    std::vector<ActRef> from, to;
    for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
      const Shard& shard = replica_.shards[f_.last][t];
      f_.builder.connect({"judged" + f_.of_rank(index_, t), shard.statistics, shard.loss,
                          Content::kActivation, f_.micro(index_), 1, 0,
                          f_.logits_bytes(t) + token_bytes});
      from.push_back(shard.statistics);
      to.push_back(shard.loss);
    }
    connect_all_reduce(f_, {index_, f_.last},
                       {"statistics.r" + std::to_string(index_), Content::kExact, f_.micro(index_),
                        8 * f_.shards.ranks * f_.tokens, DType::kF32, 1, from, to});
  }

  Frame& f_;
  const std::uint32_t index_;
  const Replica& replica_;
  const Slots slots_;
};

}  // namespace

std::uint32_t stash_slots(const Frame& frame, Place place) {
  return Slots(frame, place.replica).stash(place.stage);
}

void connect_forward(Frame& frame, std::uint32_t replica) {
  Pipeline(frame, replica).connect_forward();
}

void connect_backward(Frame& frame, std::uint32_t replica) {
  Pipeline(frame, replica).connect_backward();
}

}  // namespace reef::plan
