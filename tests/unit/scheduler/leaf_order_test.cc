#include "scheduler/plan/leaf_order.h"

#include <vector>

#include "samples.h"

namespace reef::plan {
namespace {

/// By replica, then micro-batch.
std::vector<std::uint64_t> leaves_of(const Plan& plan) {
  const LeafOrder order(plan);
  std::vector<std::uint64_t> leaves;
  for (std::uint32_t replica = 0; replica < plan.replicas; ++replica) {
    for (std::uint32_t micro = 0; micro < order.micro_batches(replica); ++micro)
      leaves.push_back(order.leaf(replica, micro));
  }
  return leaves;
}

TEST(LeafOrder, GivesEachReplicaNeighbours) {
  const Plan plan = sample_plan(2, 2, 2);
  EXPECT_FALSE(sums_each_micro_batch(plan));
  EXPECT_EQ(leaves_of(plan), (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(LeafOrder, MakesReplicasNeighboursWhereTheyMeetAfterEachMicroBatch) {
  Plan plan = sample_plan(2, 2, 2);
  for (Actor& actor : plan.actors) {
    if (actor.kind == ActorKind::kGradientSync) actor.acts[0].firings = 4;
  }
  EXPECT_TRUE(sums_each_micro_batch(plan));
  EXPECT_EQ(leaves_of(plan), (std::vector<std::uint64_t>{0, 2, 4, 6, 1, 3, 5, 7}));
}

TEST(LeafOrder, GivesEachReplicaAsManyNeighboursAsItTakes) {
  Plan plan = sample_plan(4, 1, 1);
  plan.micro_batches = {1, 1, 2, 4};
  const LeafOrder order(plan);
  for (std::uint32_t replica = 0; replica < 4; ++replica)
    EXPECT_EQ(order.micro_batches(replica), plan.micro_batches[replica]);
  EXPECT_EQ(leaves_of(plan), (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(order.leaf(3, 0), 4u);
}

TEST(LeafOrder, GivesThoseWhoShareSequencesTheSameUnequalRange) {
  Plan plan = sample_plan(4, 1, 1);
  plan.context = 2;
  plan.micro_batches = {3, 5};
  EXPECT_EQ(leaves_of(plan),
            (std::vector<std::uint64_t>{0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 3, 4, 5, 6, 7}));
}

}  // namespace
}  // namespace reef::plan
