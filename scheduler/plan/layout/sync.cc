#include "scheduler/plan/layout/sync.h"

#include "ops/codec/edge.h"
#include "scheduler/cost/cost.h"

namespace reef::plan {
namespace {

using ops::DType;

class Sync {
 public:
  explicit Sync(Frame& frame) : f_(frame) {}

  /// Recursive doubling, nearest first: after combine k a replica holds the sum of 2^(k+1)
  /// neighbours, which is the balanced tree over the leaves that rule 7 asks for. In a sharded plan
  /// recursive halving along the same tree: each gives away what its partner's half owns.
  void connect_sync(std::uint32_t s) {
    for (std::uint32_t k = 0; (1u << k) < f_.shards.replicas; ++k) {
      const std::string suffix = "." + std::to_string(k);
      for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
        const auto& sync = f_.replicas[i].shards[s].sync;
        f_.builder.connect({"kept" + of_shard(i, s) + suffix, sync[k], sync[k + 1],
                            Content::kGradient, 1, 1, 0, exchanged(i, s, k), DType::kF32,
                            rounding(s, k)});
      }
      for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
        const std::uint32_t other = i ^ (1u << k);
        const ActRef partner = f_.replicas[other].shards[s].sync[k + 1];
        f_.builder.connect({"sent" + of_shard(i, s) + suffix,
                            f_.replicas[i].shards[s].sync[k],
                            partner,
                            Content::kGradient,
                            1,
                            1,
                            0,
                            exchanged(other, s, k),
                            DType::kF32,
                            {},
                            f_.sizes[s].parts});
      }
    }
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) connect_reduced(i, s);
  }

  Remembered remembered(std::uint32_t replica, std::uint32_t s) const {
    const auto codec = codec::parse_edge(f_.builder.codec_of(Content::kGradient));
    Remembered sum;
    if (!codec.ok() || !codec::has_feedback(*codec)) return sum;
    const auto count = [&](std::uint64_t residual, const auto& parts, bool saves) {
      const std::uint64_t bytes = residual + 4 * codec::warm_elements(*codec, parts);
      sum.held += bytes;
      if (saves) sum.saved += bytes;
    };
    for (std::uint32_t k = 0; (1u << k) < f_.shards.replicas; ++k) {
      if (rounding(s, k).empty()) continue;
      count(f_.sizes[s].all_gradients(), f_.sizes[s].parts, replica >> k << k == replica);
    }
    if (s == f_.last && f_.ties_across() && !tied_rounding().empty())
      count(f_.sizes[s].tied_gradients, f_.sizes[s].tied_parts, replica == 0);
    return sum;
  }

 private:
  /// What a replica keeps at exchange k of the sync, and its partner sends it.
  std::uint64_t exchanged(std::uint32_t replica, std::uint32_t s, std::uint32_t k) const {
    return f_.sharded ? bytes_of(f_.gradients[s], replica, k + 1) : f_.sizes[s].all_gradients();
  }

  /// The codec through which all replicas pass their sums at combine k: one that rounds, where any
  /// pair of partners is on two nodes. Otherwise a replica would add its own exact sum to its
  /// partner's rounded one, and the replicas would drift apart. A sum with one owner cannot.
  std::string rounding(std::uint32_t s, std::uint32_t k) const {
    if (f_.sharded) return {};
    const std::string codec = f_.builder.codec_of(Content::kGradient);
    if (!cost::codec_is_lossy(codec, DType::kF32)) return {};
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
      if (f_.node(i, s) != f_.node(i ^ (1u << k), s)) return codec;
    }
    return {};
  }

  /// The same for the gradient of a tied use: it rounds on the way to its owner in all replicas or
  /// in none.
  std::string tied_rounding() const {
    if (f_.sharded) return {};
    const std::string codec = f_.builder.codec_of(Content::kGradient);
    if (!cost::codec_is_lossy(codec, DType::kF32)) return {};
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
      if (f_.node(i, 0) != f_.node(i, f_.last)) return codec;
    }
    return {};
  }

  void connect_reduced(std::uint32_t index, std::uint32_t s) {
    const Shard& shard = f_.replicas[index].shards[s];
    const bool splits = s == f_.last && f_.ties_across();
    const std::uint32_t exchanges = f_.sharded ? f_.exchanges : 0;
    const std::uint64_t tied = bytes_of(f_.tied, index, exchanges);
    f_.builder.connect({"reduced" + of_shard(index, s), shard.sync.back(), shard.measure,
                        Content::kGradient, 1, 1, 0,
                        bytes_of(f_.gradients[s], index, exchanges) - (splits ? tied : 0)});
    if (!splits) return;
    f_.builder.connect({"tied-reduced" + of_replica(index), shard.sync.back(),
                        f_.replicas[index].shards[0].measure, Content::kGradient, 1, 1, 0, tied,
                        DType::kF32, tied_rounding(), f_.sizes[s].tied_parts});
  }

  Frame& f_;
};

}  // namespace

void connect_sync(Frame& frame, std::uint32_t stage) { Sync(frame).connect_sync(stage); }

Remembered remembered(Frame& frame, std::uint32_t replica, std::uint32_t stage) {
  return Sync(frame).remembered(replica, stage);
}

}  // namespace reef::plan
