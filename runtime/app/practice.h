#pragma once
// A model trained on made-up tokens: the kernels of a job, without its data and its actors.

#include <cstdint>

#include "ops/nn/trainer.h"
#include "ops/tune/tuner.h"

namespace reef::app {

/// Thread: one. Memory: the whole model with its moments, from the context's pool.
class Practice {
 public:
  /// Micro-batches of `sequences` times `length` tokens.
  Practice(ops::Context& context, const nn::ModelConfig& config, nn::Precision precision,
           std::int64_t sequences, std::int64_t length);

  /// Forward and backward of one micro-batch.
  void differentiate();
  /// The optimizer's step with the gradients of the last one.
  void update();
  void step() {
    differentiate();
    update();
  }

 private:
  nn::Trainer trainer_;
  ops::Tensor tokens_, targets_;
  std::int64_t steps_ = 0;
};

/// Steps until the tuner, which must be the catalog's chooser, has no question open; at most
/// `limit` of them. Returns how many.
int practise(Practice& practice, const ops::tune::Tuner& tuner, int limit = 100);

}  // namespace reef::app
