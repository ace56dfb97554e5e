#include "scheduler/plan/layout/sync.h"

#include "ops/codec/edge.h"
#include "scheduler/cost/cost.h"

namespace reef::plan {
namespace {

using ops::DType;

class Sync {
 public:
  Sync(Frame& frame, std::uint32_t sync) : f_(frame), sync_(sync) {}

  /// Recursive doubling, nearest first: after combine k a replica holds the sum of 2^(k+1)
  /// neighbours, which is the balanced tree over the leaves that rule 7 asks for; over a line in
  /// strips (sync_steps.h). In a sharded plan recursive halving along the same tree: each gives
  /// away what its partner's half owns, once a round or after each micro-batch.
  void connect_sync(std::uint32_t s, std::uint32_t t) {
    const SyncSteps steps = f_.steps_of_sync(s, t);
    for (std::uint32_t k = 0; k + 1 < steps.acts(); ++k) {
      const bool shown = k >= steps.exchanges;
      const Content content = shown ? Content::kExact : Content::kGradient;
      const std::string suffix = "." + std::to_string(shown ? k - steps.exchanges : k);
      for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
        const Place place{i, s, t};
        const auto& sync = acts(place);
        f_.builder.connect({(shown ? "joined" : "kept") + f_.of_sync(place, sync_) + suffix,
                            sync[k], sync[k + 1], content, f_.sync_firings(s), 1, 0,
                            exchanged(place, k), DType::kF32,
                            shown ? std::string() : rounding(place, k)});
      }
      for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
        const Place place{i, s, t}, other{i ^ steps.distance(k), s, t};
        const auto parts =
            parts_of(f_.synced(place, sync_)[0].size.parts, steps.strips(), steps.given(i, k));
        f_.builder.connect({(shown ? "shown" : "sent") + f_.of_sync(place, sync_) + suffix,
                            acts(place)[k],
                            acts(other)[k + 1],
                            content,
                            f_.sync_firings(s),
                            1,
                            0,
                            f_.sharded ? exchanged(other, k) : exchanged(place, k),
                            DType::kF32,
                            {},
                            parts});
      }
    }
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) connect_reduced({i, s, t});
  }

  Remembered remembered(Place place) const {
    const auto codec = codec::parse_edge(f_.builder.codec_of(Content::kGradient));
    const StageSize& size = f_.synced(place, sync_)[0].size;
    Remembered sum;
    if (!codec.ok() || !codec::has_feedback(*codec)) return sum;
    const auto count = [&](std::uint64_t residual, const auto& parts, bool saves) {
      const std::uint64_t bytes = residual + 4 * codec::warm_elements(*codec, parts);
      sum.held += bytes;
      if (saves) sum.saved += bytes;
    };
    const SyncSteps steps = f_.steps_of_sync(place.stage, place.rank);
    for (std::uint32_t k = 0; k < steps.exchanges; ++k) {
      if (rounding(place, k).empty()) continue;
      count(exchanged(place, k),
            parts_of(size.parts, steps.strips(), steps.given(place.replica, k)),
            steps.first_alike(place.replica, k) == place.replica);
    }
    if (splits(place) && !tied_rounding(place.rank).empty())
      count(size.tied_gradients, size.tied_parts, place.replica == 0);
    return sum;
  }

 private:
  /// What a replica keeps when act k gives something away; if replicas do not share state out, also
  /// what it gives.
  std::uint64_t exchanged(Place place, std::uint32_t k) const {
    const SyncSteps steps = f_.steps_of_sync(place.stage, place.rank);
    return largest(f_.synced(place, sync_), [&](const Bucket& bucket) {
      if (f_.sharded) return bytes_of(bucket.gradients, place.replica, k + 1);
      std::uint64_t bytes = 0;
      for (const codec::Matrix& part :
           parts_of(bucket.size.parts, steps.strips(), steps.given(place.replica, k)))
        bytes += sizeof(float) * part.elements();
      return bytes;
    });
  }

  /// The codec through which all replicas pass their sums at combine k: one that rounds, where any
  /// pair of partners is on two nodes. Otherwise a replica would add its own exact sum to its
  /// partner's rounded one, and the replicas would drift apart. A sum with one owner cannot.
  std::string rounding(Place place, std::uint32_t k) const {
    if (f_.sharded) return {};
    const std::string codec = f_.builder.codec_of(Content::kGradient);
    if (!cost::codec_is_lossy(codec, DType::kF32)) return {};
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
      if (f_.node({i, place.stage, place.rank}) !=
          f_.node({i ^ (1u << k), place.stage, place.rank}))
        return codec;
    }
    return {};
  }

  /// The same for the gradient of a tied use: it rounds on the way to its owner in all replicas or
  /// in none.
  std::string tied_rounding(std::uint32_t rank) const {
    if (f_.sharded) return {};
    const std::string codec = f_.builder.codec_of(Content::kGradient);
    if (!cost::codec_is_lossy(codec, DType::kF32)) return {};
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
      if (f_.node({i, 0, rank}) != f_.node({i, f_.last, rank})) return codec;
    }
    return {};
  }

  void connect_reduced(Place place) {
    const Shard& shard = f_.shard(place);
    const std::uint32_t exchanges = f_.sharded ? f_.exchanges : 0;
    const std::uint64_t tied = bytes_of(f_.ranks[place.rank].tied, place.replica, exchanges);
    std::uint64_t all = 0;
    for (const Bucket& bucket : f_.synced(place, sync_))
      all += bytes_of(bucket.gradients, place.replica, exchanges);
    f_.builder.connect({"reduced" + f_.of_sync(place, sync_), acts(place).back(), shard.take,
                        Content::kGradient, 1, 1, 0, all - (splits(place) ? tied : 0)});
    if (!splits(place)) return;
    f_.builder.connect({"tied-reduced" + f_.of_rank(place.replica, place.rank), acts(place).back(),
                        f_.shard({place.replica, 0, place.rank}).take, Content::kGradient, 1, 1, 0,
                        tied, DType::kF32, tied_rounding(place.rank),
                        f_.synced(place, sync_).back().size.tied_parts});
  }

  const std::vector<ActRef>& acts(Place place) const { return f_.shard(place).sync[sync_]; }
  /// Whether it has the head, whose use of a tied parameter another stage's optimizer waits for.
  bool splits(Place place) const {
    return place.stage == f_.last && sync_ + 1 == f_.syncs(f_.last) && f_.ties_across();
  }

  Frame& f_;
  const std::uint32_t sync_;
};

}  // namespace

void connect_sync(Frame& frame, std::uint32_t stage) {
  for (std::uint32_t t = 0; t < frame.shards.ranks; ++t) {
    for (std::uint32_t i = 0; i < frame.syncs(stage); ++i) Sync(frame, i).connect_sync(stage, t);
  }
}

Remembered remembered(Frame& frame, Place place, std::uint32_t sync) {
  return Sync(frame, sync).remembered(place);
}

}  // namespace reef::plan
