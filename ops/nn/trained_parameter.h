#pragma once
// A parameter while it is trained. One piece for the plain loop (trainer.h) and for the optimizer
// actor, so that both round and update alike.

#include <cstdint>
#include <span>

#include "ops/catalog/attributes.h"
#include "ops/nn/spec.h"
#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"

namespace reef::nn {

/// The master, AdamW's moments and, where layers see another dtype, the rounded copy.
/// Memory: a copy of this holds the same tensors; update() changes their values in place.
struct TrainedParameter {
  Parameter parameter;
  ops::Tensor master, mean, square;  ///< f32
  ops::Tensor rounded;               ///< undefined where layers see the master itself

  /// What layers see.
  const ops::Tensor& weight() const { return rounded.defined() ? rounded : master; }
};

/// Starts, or goes on, with these f32 tensors on the context's device.
TrainedParameter trained(ops::Context& context, const Parameter& parameter, ops::Tensor master,
                         ops::Tensor mean, ops::Tensor square);
/// Starts with its initial value and moments of zero.
TrainedParameter trained(ops::Context& context, const Parameter& parameter, std::uint64_t seed);

/// Adds `change`, f32 and of the master's shape, whatever the moments say.
void correct(ops::Context& context, TrainedParameter& parameter, const ops::Tensor& change);

/// One AdamW step, in as few calls as the op takes. `gradients` are f32, in the order of
/// `parameters`; which of them decay stands in the parameters.
void update(ops::Context& context, std::span<const TrainedParameter> parameters,
            std::span<const ops::Tensor> gradients, const ops::Update& factors);

}  // namespace reef::nn
