#include "actors/sync/all_reduce.h"

#include "doubling.h"
#include "ops/functional/functional.h"

namespace reef::actors {
namespace {

using ops::Tensor;

constexpr std::uint32_t kRanks = 4, kExchanges = 2;

job::Job shared_job() {
  job::Job job = tiny_job(1, 1);
  std::get<nn::GptConfig>(job.model).n_head = kRanks;
  job.parallelism.tp = kRanks;
  return job;
}

/// The all-reduce behind the embedding, of every rank. `codec`: of its kept edges.
class AllReduceTest : public testing::Test {
 protected:
  void begin(const std::string& codec = {}) {
    for (plan::Edge& edge : rig_.plan.edges) {
      if (edge.name.starts_with("kept/hidden.r0.s0.l0.")) edge.codec = codec;
    }
    for (const plan::Actor& actor : rig_.plan.actors) {
      if (!actor.name.starts_with("sum/hidden.r0.s0.l0.t")) continue;
      ASSERT_EQ(actor.rank, tasks_.size());
      ASSERT_EQ(actor.acts.size(), kExchanges + 1);
      tasks_.push_back(rig_.make(actor).value());
    }
    ASSERT_EQ(tasks_.size(), kRanks);
    for (std::uint32_t t = 0; t < kRanks; ++t) {
      Token& token = values_.emplace_back();
      token.round = {0, 1, 0, false, false};
      token.micro = 3;
      token.tensors = {wild_tensor(rig_.context, {1, 8, 8}, t)};
    }
  }

  /// What each rank ends with; or the first failure.
  Result<std::vector<Token>> reduce() { return meet(rig_, tasks_, values_, kExchanges, spoil_); }

  Rig rig_{shared_job()};
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<Token> values_;
  std::function<void(Token&)> spoil_;
};

TEST_F(AllReduceTest, GivesAllRanksTheSameBalancedTree) {
  begin();
  const auto sums = reduce();
  ASSERT_TRUE(sums.ok()) << sums.error().text();
  const auto value = [&](std::size_t t) { return values_[t].tensors[0]; };
  const Tensor expected = ops::add(rig_.context, ops::add(rig_.context, value(0), value(1)),
                                   ops::add(rig_.context, value(2), value(3)));
  for (const Token& sum : *sums) {
    EXPECT_TRUE(std::ranges::equal(sum.tensors.at(0).bytes(), expected.bytes()));
    EXPECT_EQ(sum.micro, 3u);
    EXPECT_EQ(sum.round, values_[0].round);
    EXPECT_FALSE(sum.empty);
  }
}

TEST_F(AllReduceTest, GivesAllRanksTheSameRoundedNumbers) {
  begin("int8");
  const auto sums = reduce();
  ASSERT_TRUE(sums.ok()) << sums.error().text();
  for (const Token& sum : *sums)
    EXPECT_TRUE(std::ranges::equal(sum.tensors.at(0).bytes(), (*sums)[0].tensors.at(0).bytes()));
}

TEST_F(AllReduceTest, LetsThoseWhoDoNotTakePartPass) {
  begin();
  for (Token& token : values_) {
    token.empty = true;
    token.tensors.clear();
  }
  const auto sums = reduce();
  ASSERT_TRUE(sums.ok()) << sums.error().text();
  for (const Token& sum : *sums) EXPECT_TRUE(sum.empty && sum.tensors.empty());
}

TEST_F(AllReduceTest, RefusesWhatIsNotTheSame) {
  begin();
  const std::pair<const char*, std::function<void(Token&)>> rows[] = {
      {"another micro-batch", [](Token& token) { token.micro = 2; }},
      {"another round", [](Token& token) { token.round.step = 7; }},
      {"nothing", [](Token& token) { token.empty = true; }},
      {"no tensor", [](Token& token) { token.tensors.clear(); }},
      {"another shape",
       [this](Token& token) {
         token.tensors = {wild_tensor(rig_.context, {1, 8, 9}, 0)};
       }},
  };
  for (const auto& [what, spoil] : rows) {
    spoil_ = spoil;
    const auto sums = reduce();
    ASSERT_FALSE(sums.ok()) << what;
    EXPECT_EQ(sums.error().code, Code::kProto) << what;
  }
}

}  // namespace
}  // namespace reef::actors
