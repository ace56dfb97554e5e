#pragma once
// A model that continues sequences token by token. The keys and values of earlier tokens are kept,
// so that a token costs one pass over the weights, and not one over the whole sequence again.

#include <cstdint>
#include <variant>
#include <vector>

#include "ops/nn/attention_segments.h"
#include "ops/nn/stage.h"
#include "ops/nn/tensor_rank.h"

namespace reef::nn {

/// A whole model and what it has seen so far of `rows` sequences, which have one length at all
/// times.
/// Thread: one at a time. Memory: keys and values of `longest` tokens a row and attention layer, in
/// the spec's dtype, from the context's pool, taken with the first tokens.
class Decoder {
 public:
  /// `weights` outlive the decoder. Precondition: longest is in 1..longest_context_of(config).
  Decoder(const ModelSpec& spec, const Parameters& weights, std::int64_t rows,
          std::int64_t longest);

  /// Puts tokens i32 (rows, L) behind those that are there; L at most room(). Returns logits f32
  /// (rows, V) of what follows the last. They are those of Stage::forward on the whole sequence to
  /// rounding: products of few rows and of many may add up in another order.
  ops::Tensor append(ops::Context& context, const ops::Tensor& tokens);
  /// Forgets all tokens and keeps the memory.
  void clear() { length_ = 0; }

  std::int64_t length() const { return length_; }
  std::int64_t room() const { return longest_ - length_; }

 private:
  struct Attention {
    AttentionSegments segments;
    ops::Tensor kept;  ///< keys and values side by side, (rows, longest, 2 G, D)
  };
  /// A layer, or attention with what it has seen.
  using Part = std::variant<Stage, Attention>;

  ops::Tensor run(ops::Context& context, const Stage& stage, const ops::Tensor& x) const;
  ops::Tensor run(ops::Context& context, Attention& attention, const ops::Tensor& x) const;

  const Parameters& weights_;
  Heads heads_;
  std::int64_t rows_;
  std::int64_t longest_;
  std::int64_t length_ = 0;
  std::vector<Part> parts_;  ///< by layer
};

}  // namespace reef::nn
