#include "actors/sync/join.h"

#include "doubling.h"
#include "scheduler/plan/strips.h"

namespace reef::actors {
namespace {

using ops::Tensor;

constexpr std::uint32_t kRanks = 4, kExchanges = 2;

/// Two stages of four ranks, each in a datacenter of its own.
plan::Plan two_places(const job::Job& job) {
  topology::Topology topology;
  topology.name = "two";
  for (const char* place : {"east", "west"}) {
    for (std::uint32_t i = 0; i < kRanks; ++i) {
      topology.nodes.push_back(
          {place + std::string("-") + std::to_string(i), place, 1u << 30, 1, "127.0.0.1"});
    }
  }
  topology.lines.push_back({"east", "west", 100e6, std::chrono::milliseconds(20)});
  return plan::make_plan(job, topology).value();
}

job::Job shared_job() {
  job::Job job = tiny_job(1, 2);
  std::get<nn::GptConfig>(job.model).n_head = kRanks;
  job.parallelism.tp = kRanks;
  return job;
}

/// The joins of the hidden tensor in the second stage, and what they join.
class JoinTest : public testing::Test {
 protected:
  JoinTest() : rig_(shared_job(), two_places(shared_job())) {
    for (const plan::Actor& actor : rig_.plan.actors) {
      if (actor.kind != plan::ActorKind::kJoin || actor.stage != 1) continue;
      EXPECT_EQ(actor.rank, tasks_.size());
      tasks_.push_back(rig_.make(actor).value());
    }
    EXPECT_EQ(tasks_.size(), kRanks);
    sum_ = wild_tensor(rig_.context, {1, 8, 8}, 3);
    for (std::uint32_t t = 0; t < kRanks; ++t) {
      const plan::Strip strip = plan::strip_of(64, kRanks, t);
      Token& token = strips_.emplace_back();
      token.round = {0, 1, 0, false, false};
      token.micro = 2;
      token.tensors = {sum_.reshape({64}).slice(static_cast<std::int64_t>(strip.first),
                                                static_cast<std::int64_t>(strip.count))};
    }
  }

  /// What each rank ends with; or the first failure.
  Result<std::vector<Token>> join() { return meet(rig_, tasks_, strips_, kExchanges, spoil_, 1); }

  Rig rig_;
  std::vector<std::unique_ptr<Task>> tasks_;
  Tensor sum_;
  std::vector<Token> strips_;
  std::function<void(Token&)> spoil_;
};

TEST_F(JoinTest, GivesAllRanksTheSumAsItWas) {
  const auto joined = join();
  ASSERT_TRUE(joined.ok()) << joined.error().text();
  for (const Token& token : *joined) {
    EXPECT_TRUE(same_bits(token.tensors.at(0), sum_));
    EXPECT_EQ(token.micro, 2u);
  }
}

TEST_F(JoinTest, LetsWhatIsEmptyPass) {
  for (Token& token : strips_) {
    token.empty = true;
    token.tensors.clear();
  }
  const auto joined = join();
  ASSERT_TRUE(joined.ok()) << joined.error().text();
  for (const Token& token : *joined) EXPECT_TRUE(token.empty && token.tensors.empty());
}

TEST_F(JoinTest, RefusesWhatIsNotItsStrip) {
  strips_[2].tensors = {wild_tensor(rig_.context, {17}, 0)};
  EXPECT_EQ(join().error().code, Code::kTensor);
  strips_[2].tensors = {wild_tensor(rig_.context, {16}, 0)};
  const std::pair<const char*, std::function<void(Token&)>> rows[] = {
      {"another micro-batch", [](Token& token) { token.micro = 1; }},
      {"another round", [](Token& token) { token.round.step = 7; }},
      {"nothing", [](Token& token) { token.empty = true; }},
      {"another length",
       [this](Token& token) { token.tensors = {wild_tensor(rig_.context, {31}, 0)}; }},
  };
  for (const auto& [what, spoil] : rows) {
    spoil_ = spoil;
    EXPECT_FALSE(join().ok()) << what;
  }
}

TEST(Strips, ShareEveryElementOutOnce) {
  for (const std::uint64_t elements : {0u, 1u, 3u, 64u, 67u}) {
    for (const std::uint32_t ranks : {1u, 2u, 4u, 8u}) {
      std::uint64_t next = 0;
      for (std::uint32_t t = 0; t < ranks; ++t) {
        EXPECT_EQ(plan::strip_of(elements, ranks, t).first, next);
        next += plan::strip_of(elements, ranks, t).count;
      }
      EXPECT_EQ(next, elements);
      EXPECT_EQ(plan::strip_of(elements, ranks, 0, ranks).count, elements);
    }
  }
  EXPECT_EQ(plan::first_held(5, 0), 5u);
  EXPECT_EQ(plan::first_held(5, 1), 4u);
  EXPECT_EQ(plan::first_held(7, 2), 4u);
}

}  // namespace
}  // namespace reef::actors
