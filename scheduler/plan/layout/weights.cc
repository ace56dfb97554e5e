#include "scheduler/plan/layout/weights.h"

#include "scheduler/plan/layout/all_reduce.h"
#include "scheduler/plan/layout/gather.h"
#include "scheduler/plan/layout/sync.h"

namespace reef::plan {
namespace {

using ops::DType;

class Weights {
 public:
  explicit Weights(Frame& frame) : f_(frame) {}

  /// To each replica's norm, which adds them as all others do.
  void connect_squares() {
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) {
      for_all_of(r, [&](Place place) {
        for (const std::uint32_t owner : f_.owners_heard(r)) {
          const Place from{owner, place.stage, place.rank};
          f_.builder.connect(
              {"squares" + f_.of_shard(from) + (f_.sharded ? ".to" + f_.of_replica(r) : ""),
               f_.shard(from).measure, f_.replicas[r].norm, Content::kScalars, 1, 1, 0,
               f_.share(from).squares, DType::kF64});
        }
      });
    }
  }

  /// Of parameters that all ranks have, each takes the sum of their gradients.
  void connect_copied() {
    if (f_.shards.ranks == 1) return;
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) {
      for_all_of(r, [&](Place place) {
        f_.builder.connect({"split" + f_.of_shard(place), f_.shard(place).take,
                            f_.shard(place).measure, Content::kGradient, 1, 1, 0,
                            f_.share(place).gradients - f_.share(place).copied});
      });
      for (std::uint32_t s = 0; s < f_.stages; ++s) {
        const std::uint64_t copied = f_.share({r, s, 0}).copied;
        if (copied == 0) continue;
        std::vector<ActRef> from, to;
        for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) {
          from.push_back(f_.shard({r, s, t}).take);
          to.push_back(f_.shard({r, s, t}).measure);
        }
        connect_all_reduce(f_, {r, s},
                           {"copied.r" + std::to_string(r) + ".s" + std::to_string(s),
                            Content::kGradient, 1, copied, DType::kF32, 1, from, to});
      }
    }
  }

  void connect_weights() {
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) {
      connect_optimizer(r);
      if (!f_.sharded) connect_weights(r);
    }
    if (f_.in_turn) return connect_layer_weights(f_);
    if (f_.sharded) connect_sharded_weights();
  }

  void connect_state() {
    for (std::uint32_t owner = 0; owner < f_.owners(); ++owner) {
      for_all_of(owner, [&](Place place) {
        const std::string suffix =
            f_.sharded ? f_.of_shard(place)
                       : ".s" + std::to_string(place.stage) +
                             (f_.shards.ranks > 1 ? ".t" + std::to_string(place.rank) : "");
        const ActRef publish =
            f_.publish[(owner * f_.stages + place.stage) * f_.shards.ranks + place.rank];
        const std::uint64_t bytes = f_.share(place).state();
        f_.builder.connect({"snapshot" + suffix, f_.shard(place).update, publish, Content::kState,
                            1, 1, 0, bytes});
        f_.builder.connect({"part" + suffix, publish, f_.write, Content::kState, 1, 1, 0, bytes});
      });
    }
    if (f_.job.island) connect_outer_store();
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) {
      for_all_of(r, [&](Place place) {
        for (std::uint32_t i = 0; i < f_.syncs(place.stage); ++i) {
          const std::uint64_t bytes = remembered(f_, place, i).saved;
          if (bytes == 0) continue;
          f_.builder.connect({"residuals" + f_.of_sync(place, i), f_.shard(place).sync[i].back(),
                              f_.write, Content::kState, 1, 1, 0, bytes});
        }
      });
    }
  }

 private:
  /// Shards of a replica, by stage, then rank.
  template <typename Visit>
  void for_all_of(std::uint32_t replica, Visit&& visit) {
    for (std::uint32_t s = 0; s < f_.stages; ++s) {
      for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) visit(Place{replica, s, t});
    }
  }

  /// What it makes of a round's progress comes with the next round, so that no update waits.
  void connect_outer_store() {
    for (std::uint32_t owner = 0; owner < f_.owners(); ++owner) {
      for_all_of(owner, [&](Place place) {
        f_.builder.connect({"progress" + f_.of_shard(place), f_.shard(place).update, f_.meet,
                            Content::kState, 1, 1, 0, f_.share(place).gradients});
      });
    }
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) {
      for_all_of(r, [&](Place place) {
        f_.builder.connect({"correction" + f_.of_shard(place), f_.meet, f_.shard(place).update,
                            Content::kState, 1, 2, 1, f_.share(place).gradients});
      });
    }
  }

  void connect_optimizer(std::uint32_t replica) {
    const ActRef norm = f_.replicas[replica].norm;
    for_all_of(replica, [&](Place place) {
      f_.builder.connect({"held" + f_.of_shard(place), f_.shard(place).measure,
                          f_.shard(place).update, Content::kGradient, 1, 1, 0,
                          f_.share(place).gradients});
    });
    for_all_of(replica, [&](Place place) {
      f_.builder.connect({"scale" + f_.of_shard(place), norm, f_.shard(place).update,
                          Content::kScalars, 1, 1, 0, kReportBytes, DType::kF64});
    });
    if (replica == 0) {
      f_.builder.connect(
          {"norm", norm, f_.metrics_norm, Content::kScalars, 1, 2, 0, kReportBytes, DType::kF64});
    }
  }

  void connect_weights(std::uint32_t replica) {
    const auto from = [&](Place place) {
      return f_.sharded ? f_.shard(place).gather[0].back() : f_.shard(place).update;
    };
    const std::uint32_t initial = f_.sharded ? 0 : 1;  // the gather begins with slices
    for_all_of(replica, [&](Place place) {
      f_.builder.connect({"weights" + f_.of_shard(place), from(place), f_.shard(place).forward[0],
                          Content::kWeights, 1, 1, initial, f_.size(place).weights,
                          f_.activations});
    });
    for (std::uint32_t t = 0; t < f_.shards.ranks && f_.ties_across(); ++t) {
      const Place last{replica, f_.last, t};
      f_.builder.connect({"tied-weights" + f_.of_rank(replica, t), from({replica, 0, t}),
                          f_.shard(last).forward[0], Content::kWeights, 1, 1, initial,
                          f_.size(last).tied_weights, f_.activations});
    }
  }

  void connect_sharded_weights() {
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) {
      for_all_of(r, [&](Place place) {
        const Shard& shard = f_.shard(place);
        f_.builder.connect({"slices" + f_.of_shard(place), shard.update, shard.gather[0][0],
                            Content::kWeights, 1, 1, 1, f_.share(place).weights, f_.activations});
      });
    }
    for (std::uint32_t s = 0; s < f_.stages; ++s) {
      for (std::uint32_t t = 0; t < f_.shards.ranks; ++t) connect_gather(f_, {0, s, t}, {});
    }
    for (std::uint32_t r = 0; r < f_.shards.replicas; ++r) connect_weights(r);
  }

  Frame& f_;
};

}  // namespace

void connect_squares(Frame& frame) {
  Weights(frame).connect_copied();
  Weights(frame).connect_squares();
}

void connect_weights(Frame& frame) { Weights(frame).connect_weights(); }

void connect_state(Frame& frame) { Weights(frame).connect_state(); }

}  // namespace reef::plan
