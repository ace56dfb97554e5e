#pragma once
// Where the gradients of an optimizer's slices come from: each bucket's sync brings those of its
// layers, and a tied parameter has another one for its other use, which may be of another stage.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/core/factory.h"
#include "ops/tensor/tensor.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {

/// Thread: the optimizer's; immutable. Memory: of the slices nothing is kept but their names.
/// Failure: kProto and kTensor say what another stage sent that does not belong to ours; that a
/// slice has no gradient is our bug.
class GradientSources {
 public:
  /// `slices`: what the optimizer `actor` owns, in canonical order.
  GradientSources(const TaskSetup& setup, const plan::Actor& actor,
                  std::span<const plan::HeldSlice> slices);

  /// reduced [x buckets], [tied gradients] -> of each slice, all uses together. Handles to what the
  /// tokens hold, where a slice has one use.
  Result<std::vector<ops::Tensor>> gathered(const Firing& firing) const;

 private:
  struct Place {
    std::size_t bucket = 0;  ///< the port
    std::size_t tensor = 0;  ///< of its token
  };
  /// Of one slice.
  struct Source {
    std::string parameter;
    Place gradient;
    std::optional<Place> tied_local;  ///< of another use's gradient
    std::optional<std::size_t>
        tied_remote;  ///< place in the token from another stage's gradient sync
  };

  std::size_t buckets_;  ///< ports of reduced gradients
  std::vector<Source> sources_;
};

}  // namespace reef::actors
