#include "collectives/algorithms/leaf_tree.h"

#include <bit>

#include "ops/functional/functional.h"
#include "rig.h"

namespace reef::collectives {
namespace {

using Leaf = std::vector<ops::Tensor>;

class LeafTreeTest : public testing::Test {
 protected:
  Leaf leaf(std::uint64_t index) {
    return {actors::wild_tensor(context_, {5, 7}, 2 * index),
            actors::wild_tensor(context_, {3}, 2 * index + 1)};
  }
  Leaf sum(const Leaf& a, const Leaf& b) {
    Leaf both;
    for (std::size_t i = 0; i < a.size(); ++i) both.push_back(ops::add(context_, a[i], b[i]));
    return both;
  }
  /// The tree as one would draw it.
  Leaf drawn(std::uint64_t first, std::uint64_t count) {
    if (count == 1) return leaf(first);
    return sum(drawn(first, count / 2), drawn(first + count / 2, count / 2));
  }
  Leaf streamed(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) tree_.add(context_, leaf(first + i));
    return tree_.take(context_);
  }
  static void expect_same(const Leaf& a, const Leaf& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(actors::same_bits(a[i], b[i])) << i;
  }

  ops::ThreadPool context_{1};
  LeafTree tree_;
};

TEST_F(LeafTreeTest, AddsAsTheBalancedTreeDoes) {
  for (const std::uint64_t leaves : {1, 2, 4, 8, 16}) {
    SCOPED_TRACE(leaves);
    expect_same(streamed(0, leaves), drawn(0, leaves));
  }
}

TEST_F(LeafTreeTest, AddsWhatIsOverFromTheLastToTheFirst) {
  for (std::uint64_t leaves = 1; leaves <= 16; ++leaves) {
    SCOPED_TRACE(leaves);
    // The largest power of two, then the rest likewise.
    std::vector<Leaf> parts;
    for (std::uint64_t first = 0; first < leaves;) {
      const std::uint64_t part = std::bit_floor(leaves - first);
      parts.push_back(drawn(first, part));
      first += part;
    }
    Leaf expected = parts.back();
    for (std::size_t i = parts.size() - 1; i-- > 0;) expected = sum(parts[i], expected);
    expect_same(streamed(0, leaves), expected);
    EXPECT_EQ(tree_.count(), 0u);
  }
}

TEST_F(LeafTreeTest, AnOrderOtherThanTheTreesHasOtherBits) {
  Leaf running = leaf(0);
  for (std::uint64_t i = 1; i < 8; ++i) running = sum(running, leaf(i));
  EXPECT_FALSE(actors::same_bits(running[0], drawn(0, 8)[0]));
}

TEST_F(LeafTreeTest, ReplicasThatExchangePartialSumsAllGetTheTree) {
  for (const std::uint64_t leaves : {4, 8}) {
    for (std::uint32_t world = 1; world <= leaves; world *= 2) {
      SCOPED_TRACE(testing::Message() << leaves << " leaves, " << world << " replicas");
      std::vector<Leaf> held;
      const std::uint64_t share = leaves / world;
      for (std::uint32_t rank = 0; rank < world; ++rank)
        held.push_back(streamed(rank * share, share));
      for (std::uint32_t step = 0; step < leaf_tree_steps(world); ++step) {
        const std::vector<Leaf> before = held;
        for (std::uint32_t rank = 0; rank < world; ++rank)
          held[rank] = sum(before[rank], before[leaf_tree_partner(rank, step)]);
      }
      for (const Leaf& reduced : held) expect_same(reduced, drawn(0, leaves));
    }
  }
}

TEST(LeafTreePartner, IsMutual) {
  EXPECT_EQ(leaf_tree_steps(1), 0u);
  EXPECT_EQ(leaf_tree_steps(8), 3u);
  for (std::uint32_t rank = 0; rank < 8; ++rank) {
    for (std::uint32_t step = 0; step < 3; ++step)
      EXPECT_EQ(leaf_tree_partner(leaf_tree_partner(rank, step), step), rank);
  }
}

}  // namespace
}  // namespace reef::collectives
