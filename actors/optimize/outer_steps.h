#pragma once
// What an optimizer shard has to do with the island's outer store: it tells of its weights, and
// takes what the other islands' progress changes in them.

#include <optional>
#include <span>
#include <vector>

#include "actors/core/factory.h"
#include "actors/store/local_steps/fragments.h"
#include "ops/nn/trained_parameter.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {

/// Of a shard that holds `slices`, trained likewise. Thread: immutable, any.
class OuterSteps {
 public:
  OuterSteps(const TaskSetup& setup, std::span<const plan::HeldSlice> slices);

  /// Whether an update of this round is one: not while an island that has begun anew has no
  /// weights.
  bool counts(const Round& round) const;
  /// Of such an island.
  bool moments_are_new() const { return job_.island && job_.island->begun > 0; }

  /// Copies of what the shard speaks for of the fragments that are told in the token's round; an
  /// empty token in others.
  void tell(ops::Context& context, std::span<const nn::TrainedParameter> trained,
            Token& progress) const;
  /// Adds the correction. Failure: kTensor for one of other shapes.
  Status correct(ops::Context& context, const Token& correction,
                 std::span<nn::TrainedParameter> trained) const;

 private:
  const job::Job& job_;
  const nn::TensorRank rank_;
  std::optional<Fragments> fragments_;      ///< of an island's job
  std::vector<std::uint32_t> fragment_of_;  ///< by slice
};

}  // namespace reef::actors
