#pragma once
// A whole model trained on one device, without actors: the plain loop that the distributed run is
// held against, and what a user of the library alone begins with.

#include <cstdint>
#include <vector>

#include "ops/catalog/attributes.h"
#include "ops/nn/stage.h"
#include "ops/nn/trained_parameter.h"

namespace reef::nn {

/// Owns masters, AdamW's moments and, for kBF16, the rounded weights.
/// Thread: one. Memory: all from the context's pool, which must outlive it.
class Trainer {
 public:
  Trainer(ops::Context& context, const ModelConfig& config, Precision precision,
          std::uint64_t seed);

  /// Forward and backward of one batch, i32 (B, T) each; returns the mean loss and leaves the
  /// gradients for update(). `step` counts from 1 and draws dropout.
  double differentiate(const ops::Tensor& tokens, const ops::Tensor& targets, std::uint64_t step);
  /// One AdamW step with the gradients of the last differentiate(), which are let go. Parameters of
  /// rank 1 are not decayed.
  void update(const ops::Update& factors);

  const Stage& stage() const { return stage_; }
  /// f32, by name.
  const Parameters& masters() const { return masters_; }
  /// Of the last differentiate(), uses of a tied tensor added.
  const Parameters& gradients() const { return gradients_; }

 private:
  ops::Context& context_;
  ModelSpec spec_;
  Stage stage_;
  std::uint64_t seed_;
  std::vector<TrainedParameter> trained_;
  Parameters masters_;  ///< by name
  Parameters weights_;  ///< what forward reads
  Parameters gradients_;
};

}  // namespace reef::nn
