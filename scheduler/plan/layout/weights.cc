#include "scheduler/plan/layout/weights.h"

#include "scheduler/cost/cost.h"
#include "scheduler/plan/layout/sync.h"

namespace reef::plan {
namespace {

using ops::DType;

class Weights {
 public:
  explicit Weights(Frame& frame) : f_(frame) {}

  void connect_all_squares() {
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) connect_squares(r);
  }

  void connect_all_weights() {
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) {
      connect_optimizer(r);
      if (!f_.sharded) connect_weights(r);
    }
    if (f_.sharded) connect_sharded_weights();
  }

  void connect_state() {
    for (std::uint32_t owner = 0; owner < f_.deal->owners(); ++owner) {
      for (std::uint32_t s = 0; s < f_.stages; ++s) {
        const std::string suffix = f_.sharded ? of_shard(owner, s) : ".s" + std::to_string(s);
        const ActRef publish = f_.publish[owner * f_.stages + s];
        const std::uint64_t bytes = f_.share(owner, s).state();
        f_.builder.connect({"snapshot" + suffix, f_.replicas[owner].shards[s].update, publish,
                            Content::kState, 1, 1, 0, bytes});
        f_.builder.connect({"part" + suffix, publish, f_.write, Content::kState, 1, 1, 0, bytes});
      }
    }
    for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
      for (std::uint32_t s = 0; s < f_.stages; ++s) {
        const std::uint64_t bytes = remembered(f_, i, s).saved;
        if (bytes == 0) continue;
        f_.builder.connect({"residuals" + of_shard(i, s), f_.replicas[i].shards[s].sync.back(),
                            f_.write, Content::kState, 1, 1, 0, bytes});
      }
    }
  }

 private:
  /// To a replica's norm, which adds them as all others do.
  void connect_squares(std::uint32_t index) {
    for (std::uint32_t s = 0; s < f_.stages; ++s) {
      for (const std::uint32_t owner : f_.owners_heard(index)) {
        f_.builder.connect(
            {"squares" + of_shard(owner, s) + (f_.sharded ? ".to" + of_replica(index) : ""),
             f_.replicas[owner].shards[s].measure, f_.replicas[index].norm, Content::kScalars, 1, 1,
             0, f_.share(owner, s).squares, DType::kF64});
      }
    }
  }

  void connect_optimizer(std::uint32_t index) {
    const Replica& replica = f_.replicas[index];
    for (std::uint32_t s = 0; s < f_.stages; ++s) {
      const Shard& shard = replica.shards[s];
      f_.builder.connect({"held" + of_shard(index, s), shard.measure, shard.update,
                          Content::kGradient, 1, 1, 0, f_.share(index, s).gradients});
    }
    for (std::uint32_t s = 0; s < f_.stages; ++s) {
      f_.builder.connect({"scale" + of_shard(index, s), replica.norm, replica.shards[s].update,
                          Content::kScalars, 1, 1, 0, kReportBytes, DType::kF64});
    }
    if (index == 0) {
      f_.builder.connect({"norm", replica.norm, f_.metrics_norm, Content::kScalars, 1, 2, 0,
                          kReportBytes, DType::kF64});
    }
  }

  void connect_weights(std::uint32_t index) {
    const Replica& replica = f_.replicas[index];
    const auto from = [&](std::uint32_t s) {
      return f_.sharded ? replica.shards[s].gather.back() : replica.shards[s].update;
    };
    const std::uint32_t initial = f_.sharded ? 0 : 1;  // the gather begins with slices
    for (std::uint32_t s = 0; s < f_.stages; ++s) {
      f_.builder.connect({"weights" + of_shard(index, s), from(s), replica.shards[s].forward,
                          Content::kWeights, 1, 1, initial, f_.sizes[s].weights,
                          f_.spec.activations});
    }
    if (!f_.ties_across()) return;
    f_.builder.connect({"tied-weights" + of_replica(index), from(0),
                        replica.shards[f_.last].forward, Content::kWeights, 1, 1, initial,
                        f_.sizes[f_.last].tied_weights, f_.spec.activations});
  }

  void connect_sharded_weights() {
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) connect_slices(r);
    for (std::uint32_t s = 0; s < f_.stages; ++s) connect_gather(s);
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) connect_weights(r);
  }

  void connect_slices(std::uint32_t index) {
    for (std::uint32_t s = 0; s < f_.stages; ++s) {
      const Shard& shard = f_.replicas[index].shards[s];
      f_.builder.connect({"slices" + of_shard(index, s), shard.update, shard.gather[0],
                          Content::kWeights, 1, 1, 1, f_.share(index, s).weights,
                          f_.spec.activations});
    }
  }

  /// Recursive doubling of the updated weights: the exchanges of the sync, backwards.
  void connect_gather(std::uint32_t s) {
    for (std::uint32_t j = 0; j < f_.exchanges; ++j) {
      const std::uint32_t k = f_.exchanges - 1 - j;
      const std::string suffix = "." + std::to_string(j);
      for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
        const auto& gather = f_.replicas[i].shards[s].gather;
        f_.builder.connect({"gathered" + of_shard(i, s) + suffix, gather[j], gather[j + 1],
                            Content::kWeights, 1, 1, 0, gathered(i, s, k), f_.spec.activations,
                            j == 0 ? weights_rounding(s) : ""});
      }
      for (std::uint32_t i = 0; i < f_.shards.replicas; ++i) {
        f_.builder.connect({"shared" + of_shard(i, s) + suffix, f_.replicas[i].shards[s].gather[j],
                            f_.replicas[i ^ (1u << k)].shards[s].gather[j + 1], Content::kWeights,
                            1, 1, 0, gathered(i, s, k), f_.spec.activations});
      }
    }
  }

  /// Weights that a replica has before it meets the partner in bit k.
  std::uint64_t gathered(std::uint32_t replica, std::uint32_t s, std::uint32_t k) const {
    std::uint64_t bytes = 0;
    for (std::uint32_t owner = 0; owner < f_.shards.replicas; ++owner) {
      if (holds(replica, {{}, 0, 0, owner}, k + 1)) bytes += f_.shares[s][owner].weights;
    }
    return bytes;
  }

  /// The codec through which every owner passes its weights: one that rounds, where any pair of
  /// partners is on two nodes. All replicas then compute with the same weights.
  std::string weights_rounding(std::uint32_t s) const {
    const std::string codec = f_.builder.codec_of(Content::kWeights);
    if (!cost::codec_is_lossy(codec, f_.spec.activations)) return {};
    for (std::uint32_t i = 1; i < f_.shards.replicas; ++i) {
      if (f_.node(i, s) != f_.node(0, s)) return codec;
    }
    return {};
  }

  Frame& f_;
};

}  // namespace

void connect_squares(Frame& frame) { Weights(frame).connect_all_squares(); }

void connect_weights(Frame& frame) { Weights(frame).connect_all_weights(); }

void connect_state(Frame& frame) { Weights(frame).connect_state(); }

}  // namespace reef::plan
