#pragma once
// The segments in which a layer shard runs its layers, each with an act forward and one backward.
// Layout, shapes, costs and the task agree through this. Pure.
//
// A shard that shares nothing runs the layers of each bucket (buckets.h) as one segment, so that
// backward can give them away before it is done with all. Where ranks share the layers or replicas
// the sequences a segment is a layer, since others have a part in what lies between two.
// Attention over shared sequences is a ring (ops/nn/ring_attention.h), whose acts fire once for
// each replica met:
//
//   forward    0            the layer up to the ring; meets its own keys and values
//              1 ..         meets what the replica before it has handed on
//              context - 1  the last; then the layer behind the ring
//   backward   0            back to the ring; meets its own
//              1 ..         likewise, with the sums of gradients that came with them
//              context      its own sums have come home; back to the layer's input
//
// In each firing it takes what the replica before made in its last one, and hands on what it met
// itself. So the edge between them has one token of before the first round, and two slots do for
// any number of replicas: memory is what sequences are shared for.
//
// Where weights are gathered for each bucket (ZeRO stage 3, Rajbhandari et al. 2020) all buckets
// are one segment, whose acts fire once for each, in turn: so two slots of one edge do for the
// weights of any number of layers, one that computes and one that comes.
//
//   forward    0          the first bucket
//              count - 1  the last; then the micro-batch leaves the stage
//   backward   0          the last bucket, and so back to the first

#include <cstdint>

#include "scheduler/plan/buckets.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

class Segments {
 public:
  /// Of a shard that is the model's last if `ends`, in a plan of `ranks` that share layers and
  /// `context` that share sequences. Nothing is taken from memory.
  Segments(LayerRange layers, const Buckets& buckets, bool ends, std::uint32_t ranks,
           std::uint32_t context, bool in_turn = false);

  /// A segment is a layer.
  bool by_layer() const { return by_layer_; }
  std::uint32_t count() const {
    return by_layer_ ? layers_.last - layers_.first : in_turn_ ? 1 : buckets_.count();
  }
  LayerRange layers(std::uint32_t segment) const;
  const Buckets& buckets() const { return buckets_; }
  /// Its buckets are one segment, and take turns.
  bool in_turn() const { return in_turn_; }
  /// Of gradients, each for a bucket, or for all that take turns.
  std::uint32_t syncs() const { return in_turn_ ? 1 : buckets_.count(); }
  std::uint32_t bucket_of(std::uint32_t segment) const {
    return buckets_.of(layers(segment).first);
  }
  /// The one that backward ends a bucket with, and how many the bucket has.
  std::uint32_t first_of(std::uint32_t bucket) const {
    return by_layer_ ? buckets_.layers(bucket).first - layers_.first : bucket;
  }
  std::uint32_t count_of(std::uint32_t bucket) const {
    const LayerRange range = buckets_.layers(bucket);
    return by_layer_ ? range.last - range.first : 1;
  }
  bool begins_bucket(std::uint32_t segment) const {
    return first_of(bucket_of(segment)) == segment;
  }
  /// Of a model's layers the first embeds and the last is the head; between them attention and
  /// feed-forward layers take turns.
  bool is_ring(std::uint32_t segment) const;
  /// Of an act, for each micro-batch.
  std::uint32_t forward_firings(std::uint32_t segment) const {
    return in_turn_ ? buckets_.count() : is_ring(segment) ? context_ : 1;
  }
  std::uint32_t backward_firings(std::uint32_t segment) const {
    return in_turn_ ? buckets_.count() : is_ring(segment) ? context_ + 1 : 1;
  }

 private:
  LayerRange layers_;
  Buckets buckets_;
  bool ends_;
  bool by_layer_;
  std::uint32_t context_;
  bool in_turn_;
};

/// Of a layer shard.
Segments segments_of(const Plan& plan, const Actor& actor);

}  // namespace reef::plan
