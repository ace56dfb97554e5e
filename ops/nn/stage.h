#pragma once
// A contiguous range of a model's layers in executable form: single-device code that knows nothing
// of distribution. Any cut of a model into stages gives the same bits.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops/autograd/tape.h"
#include "ops/functional/functional.h"
#include "ops/nn/pass.h"
#include "ops/nn/spec.h"
#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"
#include "runtime/base/error.h"

namespace reef::nn {

using ops::add;
using ops::add_into;

/// A pure function of (seed, parameter name, element of the published tensor), hence the same on
/// any stage, any rank and any device.
ops::Tensor initial_value(const Parameter& parameter, std::uint64_t seed);
/// Elements [first, first + count) of what is held, as a vector.
ops::Tensor initial_slice(const Parameter& parameter, std::uint64_t seed, std::int64_t first,
                          std::int64_t count);

/// Layers [first_layer, last_layer) of a model.
/// Thread: immutable, any thread; a Tape belongs to one micro-batch and is gone before the stage.
/// Memory: outputs and gradients come from the context's pool.
class Stage {
 public:
  Stage(const ModelSpec& spec, std::size_t first_layer, std::size_t last_layer);

  /// Owned by these layers, in layer order.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// Used here but owned by another stage: the table of a tied head without the embedding.
  const std::vector<std::string>& tied() const { return tied_; }
  bool is_first() const { return first_ == 0; }
  bool is_last() const { return last_ == spec_.layers.size(); }

  /// `input`: tokens i32 (B, T) for the first stage, else hidden (B, T, C) in the spec's
  /// dtype, with T at most the longest context. Returns hidden, or logits f32 (B, T, V) from the
  /// last stage. `tape` receives what backward needs; null keeps nothing (evaluation, generation).
  /// `weights` holds parameters() and tied() and may hold more.
  ops::Tensor forward(ops::Context& context, const Parameters& weights, const ops::Tensor& input,
                      const Sample& sample, std::unique_ptr<ops::Tape>* tape) const;

  /// Consumes `tape`. `grad_output` is shaped as the output. Returns the gradient of the input;
  /// undefined for the first stage. Writes this micro-batch's gradients to `grads` (replacing what
  /// was there) under gradient_names(): the parameter's own name, and use_name() for the head's
  /// use of a tied matrix, also where the embedding is of the same stage.
  ops::Tensor backward(ops::Context& context, const Parameters& weights, ops::Tape& tape,
                       const ops::Tensor& grad_output, Parameters& grads) const;
  /// The first half of backward(), for which the stage before waits: returns the gradient of the
  /// input. `later` receives the second half, which gives what backward() writes to `grads`.
  ops::Tensor backward_input(ops::Context& context, const Parameters& weights, ops::Tape& tape,
                             const ops::Tensor& grad_output, ops::LaterGradients& later) const;

 private:
  friend std::vector<std::string> gradient_names(const Stage& stage);
  ops::Variable layer_forward(Pass& pass, const Layer& layer, const ops::Variable& x) const;

  ModelSpec spec_;
  std::size_t first_;
  std::size_t last_;
  std::vector<Parameter> parameters_;
  std::vector<std::string> tied_;
};

/// The names that backward writes, in canonical order.
std::vector<std::string> gradient_names(const Stage& stage);

/// kTensor when `tokens` is not i32 (B, T) with every value in the vocabulary and T at most the
/// longest context. What comes from a data file or a peer passes here before a stage sees it.
Status check_tokens(const ModelConfig& config, const ops::Tensor& tokens);
/// The same for targets, which may also be -1: such a one counts for nothing.
Status check_targets(const ModelConfig& config, const ops::Tensor& targets);

struct LossResult {
  double loss_sum = 0;      ///< natural logarithm, summed in token order
  std::int64_t tokens = 0;  ///< targets that counted
  ops::Tensor grad_logits;  ///< of grad_scale * loss_sum; undefined unless wanted
};

/// `targets` i32 (B, T); a negative target counts for nothing. Give 1 / tokens as grad_scale for
/// the gradient of the mean.
LossResult cross_entropy(ops::Context& context, const ops::Tensor& logits,
                         const ops::Tensor& targets, float grad_scale, bool want_grad);

}  // namespace reef::nn
