#include "actors/sync/halving.h"

#include "actors/sync/exchanges.h"
#include "ops/functional/functional.h"
#include "rig.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

job::Job sharded_job(std::uint32_t replicas, std::uint32_t stages) {
  job::Job job = tiny_job(replicas, stages);
  // Larger than a piece, so that owners share a tensor.
  std::get<nn::GptConfig>(job.model).vocab_size = 300'000;
  job.parallelism.zero_stage = 1;
  return job;
}

/// Every replica's gradient sync of the last stage, which has the tied use.
class HalvingTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  static constexpr std::uint32_t kReplicas = 4, kExchanges = 2;

  HalvingTest() : rig_(sharded_job(kReplicas, GetParam())) {
    for (const plan::Actor& actor : rig_.plan.actors) {
      if (actor.kind != plan::ActorKind::kGradientSync || actor.stage + 1 != GetParam()) continue;
      tasks_.push_back(rig_.make(actor).value());
      syncs_.push_back(&actor);
      Token token;
      token.round = {0, 1, 0, false, false};
      for (const Gradient& gradient : gradients_of(rig_.model, actor, false)) {
        token.tensors.push_back(
            wild_tensor(rig_.context, gradient.shape, 100 * actor.replica + token.tensors.size()));
      }
      gradients_.push_back(std::move(token));
    }
  }

  /// The last act's outputs of each replica.
  std::vector<std::array<Token, 2>> reduce() {
    std::vector<Token> kept = gradients_, received(kReplicas);
    for (std::size_t act = 0; act < kExchanges; ++act) {
      std::vector<Token> next(kReplicas), sent(kReplicas);
      for (std::size_t r = 0; r < kReplicas; ++r) run(r, act, kept, received, {&next[r], &sent[r]});
      for (std::size_t r = 0; r < kReplicas; ++r) received[r] = sent[r ^ (std::size_t{1} << act)];
      kept = std::move(next);
    }
    std::vector<std::array<Token, 2>> outputs(kReplicas);
    for (std::size_t r = 0; r < kReplicas; ++r) {
      std::vector<Token*> ports{&outputs[r][0]};
      if (syncs_[r]->acts.back().outputs.size() > 1) ports.push_back(&outputs[r][1]);
      run(r, kExchanges, kept, received, ports);
    }
    return outputs;
  }

  void run(std::size_t r, std::size_t act, const std::vector<Token>& kept,
           const std::vector<Token>& received, const std::vector<Token*>& outputs) {
    std::vector<const Token*> inputs{&kept[r]};
    if (act > 0) inputs.push_back(&received[r]);
    const Status status = rig_.run(*tasks_[r], act, inputs, outputs);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
  }

  ops::Tensor tree(std::size_t i) {
    const auto& g = gradients_;
    return ops::add(rig_.context, ops::add(rig_.context, g[0].tensors[i], g[1].tensors[i]),
                    ops::add(rig_.context, g[2].tensors[i], g[3].tensors[i]));
  }

  Rig rig_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<const plan::Actor*> syncs_;
  std::vector<Token> gradients_;
};

TEST_P(HalvingTest, GivesEachOwnerItsPartOfTheLeafTree) {
  const auto outputs = reduce();
  const plan::Deal deal = plan::deal_of(rig_.model, rig_.plan);
  EXPECT_GT(deal.of("wte.weight").size(), 1u);
  std::vector<std::array<std::size_t, 2>> taken(kReplicas);
  std::size_t i = 0;
  for (const Gradient& gradient : gradients_of(rig_.model, *syncs_[0], false)) {
    const ops::Tensor sum = tree(i++);
    const auto parameter = nn::parameter_of(gradient.name);
    const std::size_t port = GetParam() > 1 && parameter != gradient.name ? 1 : 0;
    for (const plan::Slice& slice : deal.of(parameter)) {
      const auto& tensors = outputs[slice.owner][port].tensors;
      const std::size_t at = taken[slice.owner][port]++;
      ASSERT_LT(at, tensors.size());
      EXPECT_TRUE(
          same_bits(tensors[at], sum.reshape({sum.elements()}).slice(slice.first, slice.count)))
          << gradient.name;
    }
  }
  for (std::size_t r = 0; r < kReplicas; ++r) {
    for (std::size_t port = 0; port < 2; ++port)
      EXPECT_EQ(taken[r][port], outputs[r][port].tensors.size());
  }
}

TEST_P(HalvingTest, PassesOnThatARoundHasNoGradients) {
  for (Token& token : gradients_) token = {{7, 3, 2, false, true}, 0, true, {}, {}, {}};
  for (const auto& outputs : reduce()) {
    EXPECT_TRUE(outputs[0].empty);
    EXPECT_EQ(outputs[0].round, gradients_[0].round);
    EXPECT_TRUE(outputs[0].tensors.empty());
  }
}

TEST_P(HalvingTest, RefusesWhatIsNotItsPart) {
  Token kept, sent, a, b, none;
  ASSERT_TRUE(rig_.run(*tasks_[0], 0, {&gradients_[0]}, {&kept, &sent}).ok());
  const auto code = [&](const Token& received) {
    return rig_.run(*tasks_[0], 1, {&kept, &received}, {&a, &b}).error().code;
  };
  Token wrong = kept;
  wrong.round.number = 9;
  EXPECT_EQ(code(wrong), Code::kProto);
  wrong = kept;
  wrong.tensors.pop_back();
  EXPECT_EQ(code(wrong), Code::kProto);
  wrong = kept;
  wrong.tensors[0] = wild_tensor(rig_.context, {3}, 0);
  EXPECT_EQ(code(wrong), Code::kTensor);
  wrong = gradients_[0];
  wrong.tensors.pop_back();
  EXPECT_EQ(rig_.run(*tasks_[0], 0, {&wrong}, {&a, &b}).error().code, Code::kTensor);
}

INSTANTIATE_TEST_SUITE_P(Stages, HalvingTest, testing::Values(1, 2));

}  // namespace
}  // namespace reef::actors
