#include "actors/optimize/all_gather.h"

#include "ops/functional/functional.h"
#include "rig.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

constexpr std::uint32_t kReplicas = 4, kExchanges = 2;

/// Every replica's all-gather of the first of two stages, whose table the head uses, too.
class AllGatherTest : public testing::TestWithParam<nn::Precision> {
 protected:
  AllGatherTest() : rig_(job(GetParam())) {
    const plan::Deal deal = plan::deal_of(rig_.model, rig_.plan);
    for (const plan::Actor& actor : rig_.plan.actors) {
      if (actor.kind != plan::ActorKind::kAllGather || actor.stage != 0) continue;
      tasks_.push_back(rig_.make(actor).value());
      EXPECT_TRUE(tasks_.back()->start(rig_.context, {}).ok());
      layers_ = {actor.first_layer, actor.last_layer};
    }
    for (std::uint32_t i = layers_.first; i < layers_.last; ++i) {
      for (const nn::Parameter& parameter : rig_.model.layers[i].parameters) {
        weights_[parameter.name] = ops::cast(
            rig_.context, wild_tensor(rig_.context, ops::Shape(parameter.shape), weights_.size()),
            parameter.dtype);
      }
    }
    for (std::uint32_t r = 0; r < kReplicas; ++r) {
      Token& token = slices_.emplace_back();
      token.round = {4, 3, 0, false, false};
      for (const plan::Slice& slice : deal.owned(layers_, r)) {
        const ops::Tensor& whole = weights_.at(slice.parameter);
        token.tensors.push_back(whole.reshape({whole.elements()}).slice(slice.first, slice.count));
      }
    }
  }

  static job::Job job(nn::Precision precision) {
    job::Job job = tiny_job(kReplicas, 2);
    std::get<nn::GptConfig>(job.model).vocab_size = 300'000;  // larger than a piece
    job.training.precision = precision;
    job.parallelism.zero_stage = 1;
    return job;
  }

  /// Weights and tied weights of each replica.
  std::vector<std::array<Token, 2>> gather(const std::vector<Token>& slices) {
    std::vector<Token> kept = slices, received(kReplicas);
    std::vector<std::array<Token, 2>> outputs(kReplicas);
    for (std::size_t act = 0; act <= kExchanges; ++act) {
      for (auto& tokens : outputs) tokens = {};
      for (std::size_t r = 0; r < kReplicas; ++r) {
        std::vector<const Token*> inputs{&kept[r]};
        if (act > 0) inputs.push_back(&received[r]);
        const Status status = rig_.run(*tasks_[r], act, inputs, {&outputs[r][0], &outputs[r][1]});
        EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
      }
      for (std::size_t r = 0; act < kExchanges && r < kReplicas; ++r) {
        kept[r] = outputs[r][0];
        received[r] = outputs[r ^ (kReplicas >> (act + 1))][1];
        for (const ops::Tensor& tensor : received[r].tensors)  // one dtype, as edges ask
          EXPECT_EQ(tensor.dtype(), rig_.model.activations);
      }
    }
    return outputs;
  }

  void expect_weights(const std::vector<std::array<Token, 2>>& outputs) {
    for (const auto& [weights, tied] : outputs) {
      EXPECT_FALSE(weights.empty);
      ASSERT_EQ(weights.tensors.size(), weights_.size());
      auto expected = weights_.begin();
      for (const ops::Tensor& tensor : weights.tensors)
        EXPECT_TRUE(same_bits(tensor, expected++->second));
      ASSERT_EQ(tied.tensors.size(), 1u);
      EXPECT_TRUE(same_bits(tied.tensors[0], weights_.at("wte.weight")));
    }
  }

  Rig rig_;
  plan::LayerRange layers_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::map<std::string, ops::Tensor> weights_;
  std::vector<Token> slices_;  ///< of the optimizers, by replica
};

TEST_P(AllGatherTest, BringsEverySliceToEveryReplica) { expect_weights(gather(slices_)); }

TEST_P(AllGatherTest, KeepsTheWeightsThroughAnEvaluation) {
  gather(slices_);
  std::vector<Token> nothing(kReplicas);
  for (Token& token : nothing) {
    token.round = {5, 3, 1, false, false};
    token.empty = true;
  }
  const auto outputs = gather(nothing);
  expect_weights(outputs);
  EXPECT_EQ(outputs[0][0].round, nothing[0].round);
}

TEST_P(AllGatherTest, RefusesWhatIsNotTheSlicesOfThePartner) {
  Token kept, sent, a, b;
  ASSERT_TRUE(rig_.run(*tasks_[0], 0, {&slices_[0]}, {&kept, &sent}).ok());
  Token good, unused;
  ASSERT_TRUE(rig_.run(*tasks_[2], 0, {&slices_[2]}, {&unused, &good}).ok());
  const auto status = [&](const Token& received) {
    return rig_.run(*tasks_[0], 1, {&kept, &received}, {&a, &b});
  };
  ASSERT_TRUE(status(good).ok());
  Token wrong = good;
  wrong.round.number = 9;
  EXPECT_EQ(status(wrong).error().code, Code::kProto);
  wrong = good;
  wrong.empty = true;
  EXPECT_EQ(status(wrong).error().code, Code::kProto);
  wrong = good;
  wrong.tensors.pop_back();
  EXPECT_EQ(status(wrong).error().code, Code::kTensor);
  wrong = good;
  wrong.tensors.push_back(wrong.tensors[0]);
  EXPECT_EQ(status(wrong).error().code, Code::kTensor);
  wrong = good;
  wrong.tensors[0] = ops::Tensor::zeros(ops::Pool::host(), ops::DType::kI32, {3});
  EXPECT_EQ(status(wrong).error().code, Code::kTensor);
}

INSTANTIATE_TEST_SUITE_P(Precisions, AllGatherTest,
                         testing::Values(nn::Precision::kF32, nn::Precision::kBF16));

}  // namespace
}  // namespace reef::actors
