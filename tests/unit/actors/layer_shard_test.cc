// A layer shard takes its input from another process: nothing that a peer can put into a token may
// end this one.

#include <gtest/gtest.h>

#include <algorithm>

#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "ops/nn/trained_parameter.h"
#include "tests/unit/actors/rig.h"

namespace reef::actors {
namespace {

constexpr Round kTraining{.number = 0, .step = 1};
constexpr Round kEvaluation{.number = 0, .step = 1, .evaluation = 1};

/// The second of two stages, whose input comes over a wire.
class LayerShardTest : public testing::TestWithParam<nn::Precision> {
 protected:
  LayerShardTest() {
    for (const plan::Actor& other : rig_.plan.actors) {
      if (other.kind == plan::ActorKind::kLayerShard && other.stage == 1) actor_ = &other;
    }
    task_ = rig_.make(*actor_).value();
    const nn::Stage stage(rig_.model, actor_->first_layer, actor_->last_layer);
    auto parameters = stage.parameters();
    std::sort(parameters.begin(), parameters.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    for (const nn::Parameter& parameter : parameters) {
      weights_.tensors.push_back(nn::trained(rig_.context, parameter, 1).weight());
    }
    tied_.tensors = {nn::trained(rig_.context, rig_.model.layers[0].parameters[0], 1).weight()};
  }

  Token hidden(const ops::Shape& shape, const Round& round = kTraining) {
    Token token;
    token.round = round;
    token.tensors = {
        ops::cast(rig_.context, wild_tensor(rig_.context, shape, 0), rig_.model.activations)};
    return token;
  }

  Status forward(const Token& input) {
    return rig_.run(*task_, 0, {&input, &weights_, &tied_}, {&output_, &stash_});
  }

  Status backward(const Token& gradient) {
    Token gradients, grad_input;
    return rig_.run(*task_, 1, {&gradient, &stash_}, {&gradients, &grad_input});
  }

  static job::Job job() {
    job::Job job = tiny_job(1, 2);
    job.training.precision = GetParam();
    return job;
  }

  Rig rig_{job(), 2};
  const plan::Actor* actor_ = nullptr;
  std::unique_ptr<Task> task_;
  Token weights_, tied_, output_, stash_;
};

TEST_P(LayerShardTest, TakesThePlannedShape) {
  const Status status = forward(hidden({1, 8, 8}));
  EXPECT_TRUE(status.ok()) << status.error().text();
}

/// Else the leaves of a round would not be as many as it has micro-batches.
TEST_P(LayerShardTest, RefusesAnEvaluationAmongTheMicroBatchesOfAStep) {
  ASSERT_TRUE(forward(hidden({1, 8, 8})).ok());
  Token next = hidden({1, 8, 8}, kEvaluation);
  next.micro = 1;
  EXPECT_EQ(forward(next).error().code, Code::kProto);
  next.round = kTraining;
  EXPECT_TRUE(forward(next).ok());
}

TEST_P(LayerShardTest, RefusesAnotherShape) {
  EXPECT_EQ(forward(hidden({3})).error().code, Code::kTensor);
}

TEST_P(LayerShardTest, RefusesAnotherDtype) {
  Token input = hidden({1, 8, 8});
  for (const auto dtype : {ops::DType::kI32, ops::DType::kF32, ops::DType::kBF16}) {
    if (dtype == rig_.model.activations) continue;
    input.tensors = {ops::Tensor::zeros(rig_.context.pool(), dtype, {1, 8, 8})};
    const Status status = forward(input);
    ++input.micro;
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kTensor);
    EXPECT_NE(status.error().what.find(ops::name_of(dtype)), std::string::npos)
        << status.error().text();
  }
}

TEST_P(LayerShardTest, RefusesAMicroBatchOutOfOrder) {
  Token input = hidden({1, 8, 8});
  input.micro = 1;
  EXPECT_EQ(forward(input).error().code, Code::kProto);
}

TEST_P(LayerShardTest, RefusesTiedWeightsOfAnotherModel) {
  tied_.tensors = {wild_tensor(rig_.context, {2, 2}, 0)};
  EXPECT_EQ(forward(hidden({1, 8, 8})).error().code, Code::kTensor);
}

TEST_P(LayerShardTest, RefusesTiedWeightsOfAnotherDtype) {
  const auto other =
      rig_.model.activations == ops::DType::kF32 ? ops::DType::kBF16 : ops::DType::kF32;
  tied_.tensors = {ops::cast(rig_.context, tied_.tensors[0], other)};
  EXPECT_EQ(forward(hidden({1, 8, 8})).error().code, Code::kTensor);
}

TEST_P(LayerShardTest, ComputesInThePlannedDtypesAndSumsInF32) {
  ASSERT_TRUE(forward(hidden({1, 8, 8})).ok());
  EXPECT_EQ(output_.tensors[0].dtype(), ops::DType::kF32) << "logits";
  Token gradient, gradients, grad_input;
  gradient.round = kTraining;
  gradient.tensors = {wild_tensor(rig_.context, {1, 8, 256}, 1)};
  ASSERT_TRUE(rig_.run(*task_, 1, {&gradient, &stash_}, {&gradients, &grad_input}).ok());
  EXPECT_EQ(grad_input.tensors[0].dtype(), rig_.model.activations);
}

TEST_P(LayerShardTest, RefusesAGradientForAnEvaluation) {
  ASSERT_TRUE(forward(hidden({1, 8, 8}, kEvaluation)).ok());
  EXPECT_EQ(backward(hidden({1, 8, 256}, kEvaluation)).error().code, Code::kProto);
}

TEST_P(LayerShardTest, RefusesAnEmptyGradientInATrainingRound) {
  ASSERT_TRUE(forward(hidden({1, 8, 8})).ok());
  Token empty;
  empty.round = kTraining;
  empty.empty = true;
  EXPECT_EQ(backward(empty).error().code, Code::kProto);
}

INSTANTIATE_TEST_SUITE_P(Precisions, LayerShardTest,
                         testing::Values(nn::Precision::kF32, nn::Precision::kBF16),
                         [](const auto& info) { return std::string(nn::name_of(info.param)); });

}  // namespace
}  // namespace reef::actors
