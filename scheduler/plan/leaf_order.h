#pragma once
// Which leaf of rule 7 a micro-batch of a replica is. What depends on it (the samples that are
// read, dropout, the order in which losses are added) agrees through this: a pure function of the
// plan.
//
// A replica's micro-batches are neighbours where it adds their gradients before replicas meet, and
// replicas are neighbours where they meet after each micro-batch. Either way it is the balanced
// tree over the leaves (collectives/algorithms/leaf_tree.h) along which they add:
//
//   of 2 replicas, once a round:       r0: (g0 + g1)       r1: (g2 + g3)       then r0 + r1
//   of 2 replicas, each micro-batch:   (r0: g0 + r1: g1)   (r0: g2 + r1: g3)   then their sum
//
// Replicas that take unequally many have neighbours, too, and meet once a round; but their sums are
// no subtrees of equal size, so that another sum of the same leaves comes out:
//
//   of 2 replicas, 3 and 1:            r0: (g0 + g1) + g2  r1: g3              then r0 + r1

#include <cstdint>
#include <vector>

#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Whether replicas sum gradients after each micro-batch (ZeRO stage 2), not once a round. Never of
/// a plan with one micro-batch a round, where both are the same.
bool sums_each_micro_batch(const Plan& plan);

class LeafOrder {
 public:
  /// Precondition: the counts of the plan's header are valid.
  explicit LeafOrder(const Plan& plan);

  /// Of a round, in a replica that the plan has.
  std::uint32_t micro_batches(std::uint32_t replica) const { return counts_[replica / context_]; }
  std::uint64_t leaf(std::uint32_t replica, std::uint32_t micro) const {
    return first_[replica / context_] + std::uint64_t{micro} * step_;
  }

 private:
  std::uint32_t context_;              ///< replicas that share a leaf
  std::vector<std::uint32_t> counts_;  ///< of micro-batches, by group of such replicas
  std::vector<std::uint64_t> first_;   ///< leaf, likewise
  std::uint32_t step_ = 1;             ///< from one micro-batch's leaf to the next one's
};

}  // namespace reef::plan
