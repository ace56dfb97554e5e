#pragma once
// The buckets in which a stage's gradients travel: neighbouring layers, each bucket with a gradient
// sync of its own, so that what the last layers have computed is on its way while backward computes
// earlier ones (Li et al. 2020, arXiv 2006.15704). Planner, layer shard, sync, optimizer and the
// deal of slices to owners agree through this. Pure.
//
//   layers of a stage   4  5  6 | 7  8 | 9 10      Plan::buckets: 7, 9
//   backward                     <------------     9 and 10 are sent first

#include <cstdint>
#include <span>
#include <vector>

#include "ops/nn/spec.h"
#include "scheduler/job/parallelism.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Layers [first, last).
struct LayerRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

/// Those of a stage.
class Buckets {
 public:
  /// `cuts` are Plan::buckets, which are ascending and outlive this. Nothing is taken from memory.
  Buckets(LayerRange stage, std::span<const std::uint32_t> cuts);

  LayerRange stage() const { return stage_; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(cuts_.size()) + 1; }
  LayerRange layers(std::uint32_t bucket) const;
  /// Of a layer of the stage.
  std::uint32_t of(std::uint32_t layer) const;

 private:
  LayerRange stage_;
  std::span<const std::uint32_t> cuts_;  ///< within the stage
};

/// Of a layer shard's, an optimizer's or an all-gather's stage.
Buckets buckets_of(const Plan& plan, const Actor& actor);

/// Where buckets begin inside of stages; none where a copy of the model meets no other. Each has at
/// least as many bytes of gradients as the job says, or by default enough that few messages carry
/// them and, where they are shared out, that every replica owns some.
std::vector<std::uint32_t> cut_buckets(const nn::ModelSpec& spec,
                                       std::span<const LayerRange> stages,
                                       const job::Parallelism& parallelism);

}  // namespace reef::plan
