#pragma once
// What a layer shard takes from others: a micro-batch's input, the gradient of its output, weights.
// It has been decoded where it came from another process, but nobody has believed it yet; what
// passes here is of the shape that layers compute with, and of the micro-batch that is due.

#include <span>
#include <string>
#include <vector>

#include "actors/core/factory.h"
#include "ops/nn/stage.h"

namespace reef::actors {

/// Thread: any; immutable. Memory: weights are handles to what the tokens hold. Failure: kTensor
/// says what there is and what there should be, kProto what belongs to another micro-batch.
class ShardInputs {
 public:
  /// Of the shard that runs `stage`.
  ShardInputs(const TaskSetup& setup, const nn::Stage& stage);

  /// Of tokens in a micro-batch here: sequences by positions.
  const ops::Shape& tokens() const { return tokens_; }

  /// That `input` is one of `layers`, some of the stage: tokens of the vocabulary, or hidden.
  Status check_input(ops::Context& context, const nn::Stage& layers,
                     const ops::Tensor& input) const;
  /// That `grad` is that of the output of `layers`, and belongs to what `stash` stands for.
  Status check_grad(const nn::Stage& layers, const Token& grad, const Token& stash) const;

  /// own weights, [tied weights]: puts them into `weights` by name.
  Status take_weights(std::span<const Token* const> tokens, nn::Parameters& weights) const;
  /// What was gathered for a bucket: of these parameters, in their order.
  static Result<nn::Parameters> gathered(const std::vector<nn::Parameter>& parameters,
                                         const Token& token);

 private:
  Status check_hidden(const ops::Tensor& tensor) const;

  nn::ModelConfig config_;
  ops::Shape tokens_;
  ops::Shape hidden_;  ///< of one micro-batch, between layers
  ops::DType activations_;
  std::int64_t columns_;            ///< of the logits
  std::vector<std::string> names_;  ///< in canonical order, as the optimizer publishes weights
  std::vector<std::string> tied_;   ///< likewise, of another stage's
};

}  // namespace reef::actors
