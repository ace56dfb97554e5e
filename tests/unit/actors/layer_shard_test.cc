// A layer shard takes its input from another process: nothing that a peer can put into a token may
// end this one.

#include <gtest/gtest.h>

#include <algorithm>

#include "ops/nn/stage.h"
#include "tests/unit/actors/rig.h"

namespace reef::actors {
namespace {

constexpr Round kTraining{.number = 0, .step = 1};
constexpr Round kEvaluation{.number = 0, .step = 1, .evaluation = 1};

/// The second of two stages, whose input comes over a wire.
class LayerShardTest : public testing::Test {
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
      weights_.tensors.push_back(nn::initial_value(parameter, 1));
    }
    tied_.tensors = {nn::initial_value(rig_.model.layers[0].parameters[0], 1)};
  }

  Token hidden(const ops::Shape& shape, const Round& round = kTraining) {
    Token token;
    token.round = round;
    token.tensors = {wild_tensor(rig_.context, shape, 0)};
    return token;
  }

  Status forward(const Token& input) {
    return rig_.run(*task_, 0, {&input, &weights_, &tied_}, {&output_, &stash_});
  }

  Status backward(const Token& gradient) {
    Token gradients, grad_input;
    return rig_.run(*task_, 1, {&gradient, &stash_}, {&gradients, &grad_input});
  }

  Rig rig_{tiny_job(1, 2), 2};
  const plan::Actor* actor_ = nullptr;
  std::unique_ptr<Task> task_;
  Token weights_, tied_, output_, stash_;
};

TEST_F(LayerShardTest, TakesThePlannedShape) {
  const Status status = forward(hidden({1, 8, 8}));
  EXPECT_TRUE(status.ok()) << status.error().text();
}

TEST_F(LayerShardTest, RefusesAnotherShape) {
  EXPECT_EQ(forward(hidden({3})).error().code, Code::kTensor);
}

TEST_F(LayerShardTest, RefusesAnotherDtype) {
  Token input = hidden({1, 8, 8});
  input.tensors = {ops::Tensor::zeros(rig_.context.pool(), ops::DType::kI32, {1, 8, 8})};
  EXPECT_EQ(forward(input).error().code, Code::kTensor);
}

TEST_F(LayerShardTest, RefusesAMicroBatchOutOfOrder) {
  Token input = hidden({1, 8, 8});
  input.micro = 1;
  EXPECT_EQ(forward(input).error().code, Code::kProto);
}

TEST_F(LayerShardTest, RefusesTiedWeightsOfAnotherModel) {
  tied_.tensors = {wild_tensor(rig_.context, {2, 2}, 0)};
  EXPECT_EQ(forward(hidden({1, 8, 8})).error().code, Code::kTensor);
}

TEST_F(LayerShardTest, RefusesAGradientForAnEvaluation) {
  ASSERT_TRUE(forward(hidden({1, 8, 8}, kEvaluation)).ok());
  EXPECT_EQ(backward(hidden({1, 8, 256}, kEvaluation)).error().code, Code::kProto);
}

TEST_F(LayerShardTest, RefusesAnEmptyGradientInATrainingRound) {
  ASSERT_TRUE(forward(hidden({1, 8, 8})).ok());
  Token empty;
  empty.round = kTraining;
  empty.empty = true;
  EXPECT_EQ(backward(empty).error().code, Code::kProto);
}

}  // namespace
}  // namespace reef::actors
