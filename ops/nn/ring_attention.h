#pragma once
// Causal attention of one rank over sequences that several share: its queries stay, the keys and
// values of all ranks pass by, one rank's a step (Liu et al. 2023, "Ring Attention",
// arXiv 2310.01889). Who moves them is not said here.
//
// With the chunks of a ContextShare a meeting is one call of the fused kernel on views:
//   its own    all queries see all keys, causally: the chunks are in order, whatever lies between
//   an earlier rank's    all queries see the early chunk of keys, and nothing of the late one
//   a later rank's       the late chunk of queries sees all keys, the early one nothing
// The first costs (T / ranks)^2 / 2 products, and so does each other.
//
// Results of meetings are merged by their log-sum-exp, with L the sum so far and l the new one:
//   L' = log(e^L + e^l)      out' = out + (out_l - out) e^(l - L')
// Backward needs no merging: with the L of all keys, each meeting gives its part of the gradients.
//
// Shapes: L positions of a rank; q (B, L, H, D), keys and values side by side in one tensor, as
// they travel, (B, L, 2 G, D).
// Order: sums have one order, the ring's; bits do not depend on threads. A rank alone computes what
// attention() and attention_grad() do, bit for bit.
// Thread: one at a time. Memory: from the context's pool.

#include <cstdint>

#include "ops/functional/attention.h"
#include "ops/nn/context_share.h"
#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"

namespace reef::nn {

/// What `share` holds of `whole` (B, T, ..), contiguous: tokens and targets.
ops::Tensor part_of(ops::Context& context, const ContextShare& share, const ops::Tensor& whole);

/// Forward: meet() once a step, then finish().
class RingAttention {
 public:
  RingAttention(const ContextShare& share, const ops::Tensor& q);

  /// The next step's keys and values, those of rank share.met_in(step). Not kept.
  void meet(ops::Context& context, const ops::Tensor& keys_values);
  /// After `ranks` meetings: out in q's dtype, and the log-sum-exp over all keys.
  ops::Attention finish(ops::Context& context);

 private:
  void merge(ops::Context& context, const ops::Attention& part, const ops::Run& queries);

  ContextShare share_;
  ops::Tensor q_;
  std::int64_t step_ = 0;
  ops::Attention sum_;  ///< after the first merge f32 at least
};

/// Backward: the same keys and values pass by once more, and with them the sum of their gradients,
/// which has come home complete after the last step.
class RingAttentionGrad {
 public:
  /// `forward` is what finish() gave, `grad` the gradient of its out.
  RingAttentionGrad(const ContextShare& share, const ops::Tensor& q, const ops::Attention& forward,
                    const ops::Tensor& grad);

  /// Returns `sums` and this rank's contributions, in f32 at least so that they do not lose by the
  /// length of the way. `sums` is what came with the keys and values; undefined in step 0.
  ops::Tensor meet(ops::Context& context, const ops::Tensor& keys_values, const ops::Tensor& sums);
  /// After `ranks` meetings, `sums` being those of its own keys and values: the gradients of q,
  /// keys and values side by side, (B, L, H + 2 G, D) in q's dtype.
  ops::Tensor finish(ops::Context& context, const ops::Tensor& sums);

 private:
  ContextShare share_;
  ops::Tensor q_;
  ops::Attention forward_;
  ops::Tensor grad_;
  std::int64_t step_ = 0;
  ops::Tensor grad_q_;  ///< f32 at least
};

}  // namespace reef::nn
