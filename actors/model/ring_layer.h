#pragma once
// One attention layer of a shard whose sequences several replicas share: the acts of a ring
// (scheduler/plan/segments.h), with what lies between two firings.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "actors/core/task.h"
#include "ops/nn/attention_segments.h"
#include "ops/nn/ring_attention.h"
#include "ops/nn/tensor_rank.h"

namespace reef::actors {

/// Thread: one at a time, the shard's. Order: firings follow the micro-batches, and within one the
/// ring. Memory: of one micro-batch forward and one backward, and stashes; all is planned
/// (scheduler/plan/layout/ring.h). Failure: kProto and kTensor say what another replica sent that
/// was not due.
class RingLayer {
 public:
  /// `tokens`: of a micro-batch here, sequences by positions.
  RingLayer(const nn::ModelSpec& spec, std::size_t layer, const nn::ContextShare& share,
            ops::Shape tokens);

  /// Whether a firing of forward or backward is a micro-batch's first, or its last.
  bool begins_forward(const Firing& firing) const { return forward_step(firing) == 0; }
  bool begins_backward(const Firing& firing) const { return backward_step(firing) == 0; }
  bool ends_backward(const Firing& firing) const { return backward_step(firing) == share_.ranks; }

  /// input, .., keys -> output, stash, keys. `sample` counts in the first firing.
  Status forward(Firing& firing, const nn::Parameters& weights, const nn::Sample& sample);

  /// The gradient of the layer's input, and those of weights in halves; of an empty micro-batch and
  /// before the last firing nothing.
  struct Opened {
    ops::Tensor grad;
    ops::LaterGradients close, open;
  };
  /// grad output, stash, keys, sums -> .., keys, sums
  Result<Opened> backward(Firing& firing, const nn::Parameters& weights);

 private:
  struct Kept {  ///< from forward to backward
    std::unique_ptr<ops::Tape> open, close;
    ops::Tensor queries, keys;
    ops::Attention attended;
  };
  struct Opening {
    ops::Tensor input;
    nn::Sample sample;
    nn::RingAttention ring;
    Kept kept;
  };
  struct Returning {
    std::unique_ptr<ops::Tape> open;
    nn::RingAttentionGrad ring;
    ops::Tensor past;
    ops::LaterGradients close;
  };

  std::int64_t forward_step(const Firing& firing) const {
    return static_cast<std::int64_t>(firing.number) % share_.ranks;
  }
  std::int64_t backward_step(const Firing& firing) const {
    return static_cast<std::int64_t>(firing.number) % (share_.ranks + 1);
  }
  Status open(Firing& firing, const nn::Parameters& weights, const nn::Sample& sample);
  Status close(Firing& firing, const nn::Parameters& weights);
  Status close_backward(Firing& firing, const nn::Parameters& weights);
  Status meet_backward(Firing& firing);
  Result<Opened> open_backward(Firing& firing, const nn::Parameters& weights);
  /// That what came is of the round and micro-batch of `ours`, and such a tensor.
  Status check(const Token& ours, const Token& theirs, ops::DType dtype) const;

  nn::AttentionSegments segments_;
  nn::ContextShare share_;
  ops::DType activations_;
  nn::Heads heads_;
  ops::Shape keys_;
  std::optional<Opening> opening_;
  std::deque<Kept> stash_;
  std::optional<Returning> returning_;
};

}  // namespace reef::actors
