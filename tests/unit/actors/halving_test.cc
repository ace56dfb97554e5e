#include "actors/sync/halving.h"

#include <algorithm>

#include "actors/sync/exchanges.h"
#include "collectives/algorithms/leaf_tree.h"
#include "ops/functional/functional.h"
#include "rig.h"
#include "scheduler/plan/leaf_order.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

struct Case {
  std::uint32_t stages;
  std::uint32_t micro_batches;  ///< after each of which replicas meet
};

job::Job sharded_job(std::uint32_t replicas, Case of) {
  job::Job job = tiny_job(replicas, of.stages);
  // Larger than a piece, so that owners share a tensor.
  std::get<nn::GptConfig>(job.model).vocab_size = 300'000;
  job.training.leaves = replicas * of.micro_batches;
  job.parallelism.zero_stage = of.micro_batches > 1 ? 2 : 1;
  return job;
}

/// Every replica's gradient sync of the last stage, which has the tied use.
class HalvingTest : public testing::TestWithParam<Case> {
 protected:
  static constexpr std::uint32_t kReplicas = 4, kExchanges = 2;
  using Tokens = std::vector<Token>;  ///< by replica

  HalvingTest() : rig_(sharded_job(kReplicas, GetParam())) {
    for (const plan::Actor& actor : rig_.plan.actors) {
      if (actor.kind != plan::ActorKind::kGradientSync || actor.stage + 1 != GetParam().stages)
        continue;
      tasks_.push_back(rig_.make(actor).value());
      syncs_.push_back(&actor);
    }
    for (std::uint32_t micro = 0; micro < GetParam().micro_batches; ++micro)
      gradients_.push_back(gradients_of_all(micro));
  }

  Tokens gradients_of_all(std::uint32_t micro) {
    const plan::LeafOrder order(rig_.plan);
    Tokens tokens;
    for (const plan::Actor* sync : syncs_) {
      Token& token = tokens.emplace_back();
      token.round = {0, 1, 0, false, false};
      token.micro = micro;
      const std::uint64_t leaf = order.leaf(sync->replica, micro);
      for (const Gradient& gradient : gradients_of(rig_.model, *sync, false)) {
        token.tensors.push_back(
            wild_tensor(rig_.context, gradient.shape, 100 * leaf + token.tensors.size()));
      }
    }
    return tokens;
  }

  /// The last act's outputs of each replica.
  std::vector<std::array<Token, 2>> reduce() {
    std::vector<std::array<Token, 2>> outputs(kReplicas);
    for (std::uint32_t micro = 0; micro < GetParam().micro_batches; ++micro) {
      Tokens kept = gradients_[micro], received(kReplicas);
      for (std::size_t act = 0; act < kExchanges; ++act) {
        Tokens next(kReplicas), sent(kReplicas);
        for (std::size_t r = 0; r < kReplicas; ++r)
          run(r, act, kept, received, {&next[r], &sent[r]});
        for (std::size_t r = 0; r < kReplicas; ++r) received[r] = sent[r ^ (std::size_t{1} << act)];
        kept = std::move(next);
      }
      const bool makes = micro + 1 == GetParam().micro_batches;
      for (std::size_t r = 0; r < kReplicas; ++r) {
        std::vector<Token*> ports;
        for (std::size_t port = 0; port < syncs_[r]->acts.back().outputs.size(); ++port)
          ports.push_back(makes ? &outputs[r][port] : nullptr);
        run(r, kExchanges, kept, received, ports);
      }
    }
    return outputs;
  }

  void run(std::size_t r, std::size_t act, const Tokens& kept, const Tokens& received,
           const std::vector<Token*>& outputs) {
    std::vector<const Token*> inputs{&kept[r]};
    if (act > 0) inputs.push_back(&received[r]);
    const Status status = rig_.run(*tasks_[r], act, inputs, outputs);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
  }

  /// As one device would add them.
  std::vector<ops::Tensor> tree() {
    const plan::LeafOrder order(rig_.plan);
    std::map<std::uint64_t, std::vector<ops::Tensor>> leaves;
    for (std::uint32_t micro = 0; micro < GetParam().micro_batches; ++micro) {
      for (std::uint32_t r = 0; r < kReplicas; ++r) {
        auto& leaf = leaves[order.leaf(r, micro)];
        for (const ops::Tensor& tensor : gradients_[micro][r].tensors)
          leaf.push_back(tensor.clone(ops::Pool::host()));
      }
    }
    EXPECT_EQ(leaves.size(), rig_.plan.leaves);
    collectives::LeafTree sum;
    for (auto& [number, leaf] : leaves) sum.add(rig_.context, std::move(leaf));
    return sum.take(rig_.context);
  }

  Rig rig_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<const plan::Actor*> syncs_;
  std::vector<Tokens> gradients_;  ///< by micro-batch
};

TEST_P(HalvingTest, GivesEachOwnerItsPartOfTheLeafTree) {
  const std::vector<ops::Tensor> sums = tree();
  const plan::Deal deal = plan::deal_of(rig_.model, rig_.plan);
  EXPECT_GT(deal.of("wte.weight").size(), 1u);
  for (int round = 0; round < 2; ++round) {  // the second shows that the first left nothing behind
    const auto outputs = reduce();
    std::vector<std::array<std::size_t, 2>> taken(kReplicas);
    std::size_t i = 0;
    for (const Gradient& gradient : gradients_of(rig_.model, *syncs_[0], false)) {
      const ops::Tensor& sum = sums[i++];
      const auto parameter = nn::parameter_of(gradient.name);
      const std::size_t port = GetParam().stages > 1 && parameter != gradient.name ? 1 : 0;
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
}

TEST_P(HalvingTest, PassesOnThatARoundHasNoGradients) {
  const Round evaluation{7, 3, 2, false, true};
  for (Tokens& tokens : gradients_) {
    for (Token& token : tokens) token = {evaluation, token.micro, true, {}, {}, {}};
  }
  for (const auto& outputs : reduce()) {
    EXPECT_TRUE(outputs[0].empty);
    EXPECT_EQ(outputs[0].round, evaluation);
    EXPECT_TRUE(outputs[0].tensors.empty());
  }
}

TEST_P(HalvingTest, RefusesWhatIsNotItsPart) {
  Token kept, sent, a, b;
  const Token& whole = gradients_[0][0];
  ASSERT_TRUE(rig_.run(*tasks_[0], 0, {&whole}, {&kept, &sent}).ok());
  const auto code = [&](const Token& received) {
    return rig_.run(*tasks_[0], 1, {&kept, &received}, {&a, &b}).error().code;
  };
  Token wrong = kept;
  wrong.round.number = 9;
  EXPECT_EQ(code(wrong), Code::kProto);
  wrong = kept;
  wrong.micro += 1;
  EXPECT_EQ(code(wrong), Code::kProto);
  wrong = kept;
  wrong.tensors.pop_back();
  EXPECT_EQ(code(wrong), Code::kProto);
  wrong = kept;
  wrong.tensors[0] = wild_tensor(rig_.context, {3}, 0);
  EXPECT_EQ(code(wrong), Code::kTensor);
  wrong = whole;
  wrong.tensors.pop_back();
  EXPECT_EQ(rig_.run(*tasks_[0], 0, {&wrong}, {&a, &b}).error().code, Code::kTensor);
}

/// Another node may say of one micro-batch that it is of an evaluation.
TEST(Halving, RefusesARoundOfWhichSomeMicroBatchesHaveNoGradients) {
  Rig rig(sharded_job(2, {1, 2}));
  const plan::Actor& sync =
      *std::ranges::find(rig.plan.actors, plan::ActorKind::kGradientSync, &plan::Actor::kind);
  const auto task = rig.make(sync).value();
  Token gradients, none, kept, sent, reduced;
  gradients.round = none.round = {0, 1, 0, false, false};
  none.empty = true;
  for (const Gradient& gradient : gradients_of(rig.model, sync, false))
    gradients.tensors.push_back(wild_tensor(rig.context, gradient.shape, 0));
  ASSERT_TRUE(rig.run(*task, 0, {&gradients}, {&kept, &sent}).ok());
  ASSERT_TRUE(rig.run(*task, 1, {&none, &none}, {nullptr}).ok());
  EXPECT_EQ(rig.run(*task, 1, {&kept, &kept}, {&reduced}).error().code, Code::kProto);
}

INSTANTIATE_TEST_SUITE_P(StagesAndMicroBatches, HalvingTest,
                         testing::Values(Case{1, 1}, Case{2, 1}, Case{1, 2}, Case{2, 2}));

}  // namespace
}  // namespace reef::actors
