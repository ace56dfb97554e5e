#include "collectives/algorithms/leaf_tree.h"

#include "ops/functional/functional.h"

namespace reef::collectives {

void LeafTree::add(ops::Context& context, std::vector<ops::Tensor> leaf) {
  for (std::uint64_t carry = count_; carry & 1; carry >>= 1) {
    std::vector<ops::Tensor> left = std::move(partial_.back());
    partial_.pop_back();
    CHECK_EQ(left.size(), leaf.size());
    for (std::size_t i = 0; i < left.size(); ++i) ops::add_into(context, left[i], leaf[i]);
    leaf = std::move(left);
  }
  partial_.push_back(std::move(leaf));
  ++count_;
}

std::vector<ops::Tensor> LeafTree::take() {
  CHECK_EQ(partial_.size(), 1u) << "leaves: " << count_;
  std::vector<ops::Tensor> sum = std::move(partial_.back());
  partial_.clear();
  count_ = 0;
  return sum;
}

}  // namespace reef::collectives
