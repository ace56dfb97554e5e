#include "scheduler/placement/placement.h"

#include <gtest/gtest.h>

#include "scheduler/cost/automatic.h"
#include "scheduler/cost/cost.h"

namespace reef::placement {
namespace {

using Cuts = std::vector<std::uint32_t>;

TEST(Cut, MakesTheSlowestStageFast) {
  EXPECT_EQ(cut({1, 1, 1, 1}, {1, 1}), (Cuts{0, 2, 4}));
  EXPECT_EQ(cut({5, 1, 1, 1}, {1, 1}), (Cuts{0, 1, 4}));
  EXPECT_EQ(cut({0, 4, 4, 4, 4, 1}, {1}), (Cuts{0, 6}));
  EXPECT_EQ(cut({1, 2, 3}, {7, 7, 7}), (Cuts{0, 1, 2, 3}));
}

TEST(Cut, GivesAFasterStageMore) {
  const std::vector<double> layers(14, 1);
  EXPECT_EQ(cut(layers, {1, 2, 4}), (Cuts{0, 2, 6, 14}));
  EXPECT_EQ(cut(layers, {4, 2, 1}), (Cuts{0, 8, 12, 14}));
  EXPECT_EQ(cut({1, 1}, {1e12, 1}), (Cuts{0, 1, 2}));  // each has a layer, however slow it is
}

TEST(StageSpeeds, AreThoseOfTheSlowestShardWhereShardsShareANode) {
  using Speeds = std::vector<double>;
  EXPECT_EQ(stage_speeds(Spread::kReplicas, {2, 2}, {1, 2, 4, 8}, 2), (Speeds{1, 2}));
  EXPECT_EQ(stage_speeds(Spread::kStages, {2, 2}, {1, 2, 4, 8}, 2), (Speeds{1, 4}));
  EXPECT_EQ(stage_speeds(Spread::kReplicas, {1, 3}, {6, 6}, 3), (Speeds{3, 3, 6}));
  EXPECT_EQ(stage_speeds(Spread::kReplicas, {1, 2}, {4, 8}, 4), (Speeds{2, 4, 2, 4}));
}

TEST(StageSpeeds, CountWhatEachReplicaHasToDo) {
  using Speeds = std::vector<double>;
  EXPECT_EQ(stage_speeds(Spread::kReplicas, {2, 2}, {3, 3, 1, 2}, 2, {1.5, 0.5}), (Speeds{2, 2}));
  EXPECT_EQ(stage_speeds(Spread::kReplicas, {2, 2}, {4}, 2, {1.5, 0.5}), (Speeds{1, 1}));
}

TEST(GroupSpeeds, AreThoseOfTheSlowestShardOfThoseWhoShareSequences) {
  using Speeds = std::vector<double>;
  EXPECT_EQ(group_speeds(Spread::kReplicas, {2, 2}, {1, 2, 4, 8}), (Speeds{1, 4}));
  EXPECT_EQ(group_speeds(Spread::kStages, {2, 2}, {1, 2, 4, 8}), (Speeds{1, 2}));
  EXPECT_EQ(group_speeds(Spread::kReplicas, {4, 1, 1, 2}, {1, 2, 4, 8}), (Speeds{1, 4}));
  EXPECT_EQ(group_speeds(Spread::kReplicas, {4, 1}, {2, 8}), (Speeds{1, 1, 4, 4}));
}

TEST(Deal, LetsTheSlowestBeDoneAsEarlyAsCanBe) {
  using Counts = std::vector<std::uint32_t>;
  EXPECT_EQ(deal(8, {1, 1}), (Counts{4, 4}));
  EXPECT_EQ(deal(8, {1, 1.1}), (Counts{4, 4}));
  EXPECT_EQ(deal(8, {3, 1}), (Counts{6, 2}));
  EXPECT_EQ(deal(8, {1, 3}), (Counts{2, 6}));
  EXPECT_EQ(deal(8, {1, 1, 2, 4}), (Counts{1, 1, 2, 4}));
  EXPECT_EQ(deal(8, {1, 1e12}), (Counts{1, 7})) << "each has one, however slow it is";
  EXPECT_EQ(deal(2, {5, 1}), (Counts{1, 1}));
}

TEST(NodeOf, KeepsReplicasOrStagesTogether) {
  const Shards shards{2, 2};
  EXPECT_EQ(node_of(Spread::kReplicas, shards, 2, 0, 1), 0u);
  EXPECT_EQ(node_of(Spread::kReplicas, shards, 2, 1, 0), 1u);
  EXPECT_EQ(node_of(Spread::kStages, shards, 2, 0, 1), 1u);
  EXPECT_EQ(node_of(Spread::kStages, shards, 2, 1, 0), 0u);
}

TEST(ShardsFit, NamesIdleNodes) {
  const Status status = shards_fit({1, 2}, {"a", "b", "c", "d"});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().text(),
            "E_NO_FIT: spec.parallelism: 1 replicas x 2 pipeline devices = 2 shards for 4 nodes; "
            "c, d would "
            "stand idle; "
            "raise dp, pp, tp or cp, or take them out of the topology");
  EXPECT_NE(shards_fit({1, 1, 2}, {"a", "b", "c"}).error().what.find("x 2 ranks = 2 shards"),
            std::string::npos);
  EXPECT_TRUE(shards_fit({1, 2, 2}, {"a", "b", "c", "d"}).ok());
}

TEST(NodeOf, RanksOfAStageAreNeighbours) {
  const Shards shards{2, 2, 2};
  for (std::uint32_t r = 0; r < 2; ++r) {
    for (std::uint32_t s = 0; s < 2; ++s) {
      for (std::uint32_t t = 0; t < 2; ++t) {
        EXPECT_EQ(node_of(Spread::kReplicas, shards, 8, r, s, t), 4 * r + 2 * s + t);
        EXPECT_EQ(node_of(Spread::kStages, shards, 8, r, s, t), 4 * s + 2 * r + t);
        EXPECT_EQ(node_of(Spread::kReplicas, shards, 4, r, s, t), 2 * r + s) << "ranks share it";
      }
    }
  }
}

TEST(StageSpeeds, CountTheRanksThatShareAStage) {
  const std::vector<double> speeds{4, 2, 8, 8};
  EXPECT_EQ(stage_speeds(Spread::kReplicas, {1, 2, 2}, speeds, 2), (std::vector<double>{4, 16}));
}

TEST(Cost, CountsMessagesOnTheWay) {
  const topology::Line line{"a", "b", 100e6, std::chrono::milliseconds(20)};
  EXPECT_EQ(cost::slots_to_fill(line, 100'000), 4u);  // 250 kB are under way: ceil(2.5) + 1
  EXPECT_DOUBLE_EQ(cost::transfer_seconds(line, 12.5e6), 1.0);
}

TEST(Cost, TakesWhatIsSaidOfADevice) {
  using topology::Device;
  EXPECT_DOUBLE_EQ(cost::flops_per_second({}, 3), 3 * cost::kFlopsPerThread);
  EXPECT_DOUBLE_EQ(cost::flops_per_second(Device{40e9}, 3), 40e9);
  EXPECT_DOUBLE_EQ(cost::bytes_per_second({}), cost::kMemoryBytesPerSecond);
  EXPECT_DOUBLE_EQ(cost::bytes_per_second(Device{2 * cost::kFlopsPerThread}),
                   2 * cost::kMemoryBytesPerSecond);
  EXPECT_DOUBLE_EQ(cost::bytes_per_second(Device{40e9, 7e9}), 7e9);
}

TEST(Cost, OfACodecDependsOnWhatItEncodes) {
  using ops::DType;
  EXPECT_DOUBLE_EQ(cost::codec_ratio("bf16", DType::kF32), 0.5);
  EXPECT_DOUBLE_EQ(cost::codec_ratio("bf16", DType::kBF16), 1);
  // Bytes on the line of one element are the same, rounded before or on the way.
  EXPECT_DOUBLE_EQ(2 * cost::codec_ratio("none+zstd", DType::kBF16),
                   4 * cost::codec_ratio("bf16+zstd", DType::kF32));
  EXPECT_DOUBLE_EQ(2 * cost::codec_ratio("int8", DType::kBF16),
                   4 * cost::codec_ratio("int8", DType::kF32));
  EXPECT_LT(cost::codec_ratio("int4+zstd", DType::kF32), cost::codec_ratio("int4", DType::kF32));
  EXPECT_LT(cost::codec_ratio("int4", DType::kF32), cost::codec_ratio("int8+zstd", DType::kF32));
  EXPECT_LT(cost::codec_ratio("top-k:0.015625/4096:int2+zstd", DType::kF32), 1.0 / 200);
  EXPECT_DOUBLE_EQ(cost::codec_ratio("int8", DType::kI32), 1);  // tokens are never rounded
}

TEST(Cost, ExpectsOfAnAutomaticCodecWhatSuitsTheLine) {
  using ops::DType;
  const auto expected = [](const char* codec, double rate, DType dtype = DType::kF32) {
    const topology::Line line{"a", "b", rate, std::chrono::milliseconds(20)};
    return cost::expected_codec(codec, dtype, line, 1e6, 100);
  };
  EXPECT_EQ(expected("auto:0.02", 50e6), "int8+zstd");
  EXPECT_EQ(expected("auto:0.15", 50e6), "int4+zstd");
  EXPECT_EQ(expected("auto:0.002", 50e6), "bf16+zstd");
  EXPECT_EQ(expected("auto:0", 50e6), "none+zstd");
  EXPECT_EQ(expected("auto:0", 50e6, DType::kBF16), "bf16+zstd");
  EXPECT_EQ(expected("auto:0.02", 1e12), "none");  // the line is faster than any codec
  EXPECT_EQ(expected("int4", 1e12), "int4");       // what is named stays
  EXPECT_EQ(expected("auto:0.02", 50e6, DType::kI32), "auto:0.02");  // tokens are never rounded
}

TEST(Cost, KnowsWhichCodecRoundsWhat) {
  using ops::DType;
  for (const char* codec : {"bf16", "bf16+zstd", "fp8", "int8+zstd", "int4+zstd3"}) {
    EXPECT_TRUE(cost::codec_is_lossy(codec, DType::kF32)) << codec;
    EXPECT_FALSE(cost::codec_is_lossy(codec, DType::kI32)) << codec;
  }
  for (const char* codec : {"", "none", "none+zstd"}) {
    EXPECT_FALSE(cost::codec_is_lossy(codec, DType::kF32)) << codec;
  }
  EXPECT_FALSE(cost::codec_is_lossy("bf16", DType::kBF16));
  EXPECT_TRUE(cost::codec_is_lossy("int8", DType::kBF16));
}

}  // namespace
}  // namespace reef::placement
