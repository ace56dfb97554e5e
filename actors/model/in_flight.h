#pragma once
// What a segment of a layer shard (scheduler/plan/segments.h) keeps of the micro-batches in flight,
// for the acts that are still to come: tapes from forward to backward, the second half of backward
// where it has two, and sums of gradients until they leave. Which act runs when is the shard's
// affair (layer_shard.cc); a ring keeps its own tapes (ring_layer.h).

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "collectives/algorithms/leaf_tree.h"
#include "ops/autograd/tape.h"
#include "runtime/base/error.h"
#include "runtime/register/token.h"

namespace reef::actors {

/// Thread: one at a time, the shard's. Order: every act takes micro-batches in their order, so what
/// was kept first is taken first, and nothing is taken that was not kept: the stash edge counts
/// tapes, the edge between the halves what is later. Memory: of so many micro-batches as these
/// edges have slots, and of LeafTree; all is planned. Failure: only begin() refuses.
class InFlight {
 public:
  using Later = std::vector<ops::LaterGradients>;  ///< of one micro-batch

  /// `micro_batches` of a round, `leaves_of_sum` that are added before a sum is taken.
  InFlight(std::uint32_t micro_batches, std::uint32_t leaves_of_sum)
      : micro_batches_(micro_batches), leaves_of_sum_(leaves_of_sum) {}

  /// The next micro-batch comes to forward. kProto if `input` is of another one, or of another
  /// round than those before it.
  Status begin(const Token& input);

  /// From forward to backward; null of an evaluation.
  void keep(std::unique_ptr<ops::Tape> tape) { tapes_.push_back(std::move(tape)); }
  std::unique_ptr<ops::Tape> take_tape();

  /// Between the halves of backward; empty of an evaluation.
  void keep_later(Later later) { later_.push_back(std::move(later)); }
  Later take_later();

  /// A micro-batch's gradients, whose order is the same each time.
  void add_leaf(ops::Context& context, std::vector<ops::Tensor> leaf);
  /// The first sum that nobody has taken, of which all leaves have come.
  std::vector<ops::Tensor> take_sum(ops::Context& context);

 private:
  const std::uint32_t micro_batches_;
  const std::uint32_t leaves_of_sum_;
  std::uint32_t expected_ = 0;  ///< micro-batch,
  Round round_;                 ///< of this round behind its first
  std::deque<std::unique_ptr<ops::Tape>> tapes_;
  std::deque<Later> later_;
  std::deque<collectives::LeafTree> sums_;  ///< the first is given next; later ones have begun
  std::uint32_t leaves_ = 0;                ///< of the last one
};

}  // namespace reef::actors
