#pragma once
// The balanced tree along which gradients are added (rule 7: same seed, same bits). Leaves are
// micro-batches; the global batch has V = 2^k of them, and replica r of R holds the aligned range
// [r V/R, (r+1) V/R). Every layout adds
//
//   ((g0 + g1) + (g2 + g3)) + ((g4 + g5) + (g6 + g7))
//
// and so gets the same bits: a replica adds its own subtree as leaves arrive (LeafTree), and
// replicas then exchange partial sums with a partner at distance 1, 2, 4, ... (recursive doubling;
// Thakur, Rabenseifner and Gropp, 2005). a + b and b + a have the same bits, so both partners
// compute the parent alike. Or replicas exchange leaf by leaf and then add: then they hold every
// R-th leaf, and the same holds.
//
// Replicas that take unequally many leaves hold no aligned ranges, so their sum has other bits than
// that of equal ones. The tree of a number of leaves that is no power of two is that of the largest
// power in it, then that of the rest: of seven ((g0 + g1) + (g2 + g3)) + ((g4 + g5) + g6).

#include <cstdint>
#include <vector>

#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"

namespace reef::collectives {

/// The partner of `rank` in exchange number `step` of a leaf-tree all-reduce.
inline std::uint32_t leaf_tree_partner(std::uint32_t rank, std::uint32_t step) {
  return rank ^ (1u << step);
}

/// Exchanges that a leaf-tree all-reduce over `world` ranks takes; `world` is a power of two.
inline std::uint32_t leaf_tree_steps(std::uint32_t world) {
  std::uint32_t steps = 0;
  while ((1u << steps) < world) ++steps;
  return steps;
}

/// Adds leaves as they come, in order, along the tree, with at most log2(leaves) + 1 partial sums
/// alive: a binary counter in which a carry is an addition.
/// Thread: one. Memory: writes into the tensors given.
class LeafTree {
 public:
  /// One leaf: a list of tensors, the same shapes each time.
  void add(ops::Context& context, std::vector<ops::Tensor> leaf);
  /// Leaves since the last take.
  std::uint64_t count() const { return count_; }
  /// The sum of all leaves since the last take, of which there is at least one. Partial sums that
  /// are left, where their number is no power of two, are added from the last to the first.
  std::vector<ops::Tensor> take(ops::Context& context);

 private:
  std::uint64_t count_ = 0;
  std::vector<std::vector<ops::Tensor>>
      partial_;  ///< partial_.back() covers the most recent leaves
};

}  // namespace reef::collectives
