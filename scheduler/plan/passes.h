#pragma once
// How micro-batches pass through a layer shard: the segments in which it runs its layers, and the
// acts of each. Layout, shapes, costs and the task agree through this. Pure.
//
// A shard that shares nothing runs all its layers as one segment. Where ranks share the layers or
// the sequences a segment is a layer, since others have a part in what lies between two. A segment
// has a forward and a backward act, but attention over shared sequences, a ring
// (ops/nn/ring_attention.h), has two and three:
//   forward open     up to the ring; meets the rank's own keys and values, and gives them away
//   forward attend   once a rank met: meets what came and hands it on; the last one closes the
//   layer backward close   back to the ring, likewise; sums of gradients go with the keys and
//   values backward attend  once a rank met; the last one sends the sums home backward open    from
//   the sums that came home to the layer's input
// That rings have as many acts for many ranks as for two keeps plans small; that what is handed on
// needs the same two slots for any number of ranks keeps memory, for which sequences are shared.

#include <cstdint>
#include <vector>

#include "scheduler/plan/pieces.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

enum class Pass : std::uint8_t {
  kForward,
  kBackward,
  kForwardOpen,
  kForwardAttend,
  kBackwardClose,
  kBackwardAttend,
  kBackwardOpen,
};

bool is_forward(Pass pass);
/// Whether it fires once for each rank met of a micro-batch, instead of once for a micro-batch.
bool is_meeting(Pass pass);

/// What an act of a shard does, to which segment.
struct PassAct {
  Pass pass = Pass::kForward;
  std::uint32_t segment = 0;
};

class Passes {
 public:
  /// Of a shard that is the model's last if `ends`, in a plan of `ranks` that share layers and
  /// `context` that share sequences. Nothing is taken from memory.
  Passes(LayerRange layers, bool ends, std::uint32_t ranks, std::uint32_t context);

  /// A segment is a layer.
  bool by_layer() const { return by_layer_; }
  std::uint32_t segments() const { return by_layer_ ? layers_.last - layers_.first : 1; }
  LayerRange layers(std::uint32_t segment) const;
  /// Of a model's layers the first embeds and the last is the head; between them attention and
  /// feed-forward layers take turns.
  bool is_ring(std::uint32_t segment) const;

  /// Acts, forward and backward.
  std::uint64_t count() const { return 2 * std::uint64_t{segments()} + 3 * rings(); }
  /// Those of forward, then those of backward, each in the order of layers and within a segment in
  /// the order in which they fire.
  std::vector<PassAct> acts() const;

 private:
  std::uint64_t rings() const;

  LayerRange layers_;
  bool ends_;
  bool by_layer_;
  bool in_rings_;
};

/// Of a layer shard.
Passes passes_of(const Plan& plan, const Actor& actor);

}  // namespace reef::plan
