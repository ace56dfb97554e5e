#include "ops/nn/context_share.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace reef::nn {
namespace {

using Runs = std::vector<ops::Run>;

TEST(ContextShare, HoldsOneChunkFromEachHalf) {
  EXPECT_EQ((ContextShare{1, 0}.runs(7)), (Runs{{0, 7}}));
  EXPECT_EQ((ContextShare{2, 0}.runs(16)), (Runs{{0, 4}, {12, 4}}));
  EXPECT_EQ((ContextShare{2, 1}.runs(16)), (Runs{{4, 8}})) << "neighbours are one run";
  EXPECT_EQ((ContextShare{4, 1}.runs(16)), (Runs{{2, 2}, {12, 2}}));
  EXPECT_EQ((ContextShare{4, 3}.runs(16)), (Runs{{6, 4}}));
}

TEST(ContextShare, GivesEveryPositionToOneRankAndEveryRankAsManyKeys) {
  constexpr std::int64_t kTokens = 48;
  for (const std::int64_t ranks : {1, 2, 3, 4, 8}) {
    std::vector<int> held(kTokens);
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      std::int64_t seen = 0;
      for (const ops::Run& run : ContextShare{ranks, rank}.runs(kTokens)) {
        for (std::int64_t position = run.first; position < run.first + run.count; ++position) {
          ++held[static_cast<std::size_t>(position)];
          seen += position + 1;
        }
      }
      EXPECT_EQ(seen, kTokens * (kTokens + 1) / 2 / ranks) << rank << " of " << ranks;
    }
    EXPECT_TRUE(std::ranges::all_of(held, [](int times) { return times == 1; })) << ranks;
  }
}

TEST(ContextShare, MeetsItselfFirstAndThenEveryoneOnce) {
  const ContextShare share{4, 1};
  const std::vector<std::int64_t> met{share.met_in(0), share.met_in(1), share.met_in(2),
                                      share.met_in(3)};
  EXPECT_EQ(met, (std::vector<std::int64_t>{1, 0, 3, 2}));
}

TEST(ContextShare, SaysWhatIsWrong) {
  const GptConfig plain;
  EXPECT_EQ(problem_of_context(plain, 1, 7), "");
  EXPECT_EQ(problem_of_context(plain, 2, 128), "");
  for (const std::int64_t ranks : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1} << 62}) {
    EXPECT_EQ(problem_of_context(plain, ranks, 128),
              "the ranks that share a sequence must be in 1..2^20");
  }
  EXPECT_EQ(
      problem_of_context(plain, 4, 100),
      "a sequence of 100 tokens cannot be cut into two equal chunks for each of 4 ranks; make "
      "it a multiple of 8 tokens long, or let fewer ranks share it");
  EXPECT_NE(problem_of_context(LlamaConfig{}, 2, 0), "");
  for (float GptConfig::*drop :
       {&GptConfig::attn_pdrop, &GptConfig::embd_pdrop, &GptConfig::resid_pdrop}) {
    GptConfig config;
    config.*drop = 0.1f;
    EXPECT_EQ(problem_of_context(config, 1, 128), "");
    EXPECT_EQ(problem_of_context(config, 2, 128),
              "ranks that share a sequence cannot drop out; set attn_pdrop, embd_pdrop and "
              "resid_pdrop to 0, or let one rank have the whole sequence");
  }
}

}  // namespace
}  // namespace reef::nn
