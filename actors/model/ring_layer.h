#pragma once
// One attention layer of a shard whose sequences several replicas share: the acts of
// scheduler/plan/passes.h, with what lies between them for each micro-batch under way.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "actors/core/task.h"
#include "ops/nn/attention_segments.h"
#include "ops/nn/ring_attention.h"
#include "ops/nn/tensor_rank.h"

namespace reef::actors {

/// Thread: one at a time, the shard's. Order: an act's firings follow the micro-batches, and of
/// those that meet, within one, the ring. Memory: what it holds is planned as the edges "held" and
/// "stash". Failure: kProto and kTensor name what another replica sent that was not due.
class RingLayer {
 public:
  /// `tokens`: of a micro-batch here, sequences by positions.
  RingLayer(const nn::ModelSpec& spec, std::size_t layer, const nn::ContextShare& share,
            ops::Shape tokens);

  /// input, .. -> held, keys
  Status forward_open(Firing& firing, const nn::Parameters& weights, const nn::Sample& sample);
  /// held, keys, [passed] -> [passed], output, stash
  Status forward_attend(Firing& firing, const nn::Parameters& weights);
  /// grad output, stash -> held, turn, keys, sums
  Status backward_close(Firing& firing, const nn::Parameters& weights);
  /// turn, keys, sums, [passed keys, passed sums] -> [passed keys, passed sums], turn, home
  Status backward_attend(Firing& firing);
  /// held, turn, home -> .., and the gradient of the layer's input and those of weights, or of an
  /// empty micro-batch nothing.
  struct Opened {
    ops::Tensor grad;
    ops::LaterGradients close, open;
  };
  Result<Opened> backward_open(Firing& firing, const nn::Parameters& weights);

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
    std::optional<nn::RingAttentionGrad> ring;  ///< none: empty
    ops::Tensor past;
    ops::LaterGradients close;
  };

  std::int64_t meetings() const { return share_.ranks - 1; }
  /// That a neighbour's token is of the round and micro-batch of `ours`, and such a tensor.
  Status check(const Token& ours, const Token& theirs, ops::DType dtype) const;
  Status close(Firing& firing, const nn::Parameters& weights, std::size_t output);
  Status meet(Firing& firing, std::int64_t meeting);

  nn::AttentionSegments segments_;
  nn::ContextShare share_;
  ops::DType activations_;
  nn::Heads heads_;
  ops::Shape keys_;
  std::deque<Opening> opening_;      ///< in the ring of forward
  std::deque<Kept> stash_;           ///< between the two
  std::deque<Returning> meeting_;    ///< in the ring of backward
  std::deque<Returning> returning_;  ///< while the sums come home
};

}  // namespace reef::actors
