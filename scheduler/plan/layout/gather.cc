#include "scheduler/plan/layout/gather.h"

#include <array>

#include "scheduler/cost/cost.h"

namespace reef::plan {
namespace {

/// Of weights for layers that compute in turn: one that computes and one that comes.
constexpr std::uint32_t kSlots = 2;

class Gather {
 public:
  Gather(Frame& frame, Place first, const Gathering& gathering)
      : f_(frame),
        s_(first.stage),
        t_(first.rank),
        gathering_(gathering),
        tokens_(f_.in_turn ? f_.sync_firings(s_) : 1) {}

  void connect() {
    for (std::uint32_t j = 0; j < f_.exchanges; ++j) {
      const std::uint32_t k = f_.exchanges - 1 - j;
      const std::string suffix = gathering_.name + "." + std::to_string(j);
      for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
        const Place place{i, s_, t_};
        f_.builder.connect({"gathered" + f_.of_shard(place) + suffix, acts(place)[j],
                            acts(place)[j + 1], Content::kWeights, tokens_, 1, 0,
                            gathered(place, k + 1), f_.activations, j == 0 ? rounding() : ""});
      }
      for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
        const Place place{i, s_, t_}, other{i ^ (1u << k), s_, t_};
        f_.builder.connect({"shared" + f_.of_shard(place) + suffix, acts(place)[j],
                            acts(other)[j + 1], Content::kWeights, tokens_, 1, 0,
                            gathered(place, k + 1), f_.activations});
      }
    }
  }

  /// From the owners, who keep them all round, the head's of a tied table from another stage's; and
  /// to the layers, bucket by bucket.
  void connect_ends() {
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
      const Place place{i, s_, t_};
      f_.builder.connect({"slices" + f_.of_shard(place) + gathering_.name, f_.shard(place).update,
                          acts(place)[0], Content::kWeights, 1, 1, 1, f_.share(place).weights,
                          f_.activations});
    }
    for (std::uint32_t i = 0; i < f_.shards.replicas && s_ == f_.last && f_.ties_across(); ++i) {
      f_.builder.connect({"tied-slices" + f_.of_rank(i, t_) + gathering_.name,
                          f_.shard({i, 0, t_}).update, acts({i, s_, t_})[0], Content::kWeights, 1,
                          1, 1, tied(i), f_.activations});
    }
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
      const Place place{i, s_, t_};
      const Shard& shard = f_.shard(place);
      f_.builder.connect({"weights" + f_.of_shard(place) + gathering_.name, acts(place).back(),
                          gathering_.gather == 0 ? shard.forward[0] : shard.backward[0],
                          Content::kWeights, tokens_, kSlots, 0, gathered(place, 0),
                          f_.activations});
    }
  }

 private:
  const std::vector<ActRef>& acts(Place place) const {
    return f_.shard(place).gather[gathering_.gather];
  }

  /// Weights whose owners agree with a replica in so many bits: of the stage, or of the bucket that
  /// has most of them.
  std::uint64_t gathered(Place place, std::uint32_t bits) const {
    const auto held = [&](auto&& bytes_of_owner) {
      std::uint64_t bytes = 0;
      for (std::uint32_t owner = 0; owner < f_.shards.replicas; ++owner) {
        if (holds(place.replica, {{}, 0, 0, owner}, bits)) bytes += bytes_of_owner(owner);
      }
      return bytes;
    };
    if (!f_.in_turn) {
      return held([&](std::uint32_t owner) {
        return f_.share({owner, place.stage, place.rank}).weights;
      });
    }
    return largest(f_.buckets(place), [&](const Bucket& bucket) {
      return held([&](std::uint32_t owner) { return bucket.weights[owner]; });
    });
  }

  /// Of the parameters that the head uses and another stage owns, what a replica's optimizer has.
  std::uint64_t tied(std::uint32_t replica) const {
    std::uint64_t elements = 0;
    for (const Slice& slice : f_.ranks[t_].tied) {
      if (slice.owner == replica) elements += static_cast<std::uint64_t>(slice.count);
    }
    return elements * ops::size_of(f_.activations);
  }

  /// The codec through which every owner passes its weights: one that rounds, where any pair of
  /// partners is on two nodes. All replicas then compute with the same weights.
  std::string rounding() const {
    const std::string codec = f_.builder.codec_of(Content::kWeights);
    if (!cost::codec_is_lossy(codec, f_.activations)) return {};
    for (std::uint32_t i = 1; i < f_.shards.replicas; ++i) {
      if (f_.node({i, s_, t_}) != f_.node({0, s_, t_})) return codec;
    }
    return {};
  }

  Frame& f_;
  const std::uint32_t s_, t_;
  const Gathering& gathering_;
  const std::uint32_t tokens_;
};

}  // namespace

void connect_gather(Frame& frame, Place first, const Gathering& gathering) {
  Gather(frame, first, gathering).connect();
}

void connect_layer_weights(Frame& frame) {
  const std::array<Gathering, 2> directions{{{0, ".forward"}, {1, ".backward"}}};
  for (std::uint32_t s = 0; s < frame.stages; ++s) {
    for (const Gathering& direction : directions)
      Gather(frame, {0, s, 0}, direction).connect_ends();
  }
  for (std::uint32_t s = 0; s < frame.stages; ++s) {
    for (const Gathering& direction : directions) connect_gather(frame, {0, s, 0}, direction);
  }
}

}  // namespace reef::plan
