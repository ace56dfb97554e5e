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

std::vector<ops::Tensor> LeafTree::take(ops::Context& context) {
  CHECK(!partial_.empty()) << "no leaves";
  std::vector<ops::Tensor> sum = std::move(partial_.back());
  for (partial_.pop_back(); !partial_.empty(); partial_.pop_back()) {
    std::vector<ops::Tensor>& left = partial_.back();
    for (std::size_t i = 0; i < left.size(); ++i) ops::add_into(context, left[i], sum[i]);
    sum = std::move(left);
  }
  count_ = 0;
  return sum;
}

}  // namespace reef::collectives
