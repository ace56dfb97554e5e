#include <cmath>
#include <limits>

#include "rig.h"

namespace reef::actors {
namespace {

class ClipNormTest : public testing::Test {
 protected:
  /// One token of square sums per stage, all of them `square`.
  void make(double limit, std::uint32_t stages, double square) {
    job::Job job = tiny_job(1, stages);
    job.optimizer.clip_norm = limit;
    rig_.emplace(job);
    squares_.assign(stages, Token{});
    count_ = 0;
    for (const nn::Layer& layer : rig_->model.layers) count_ += layer.parameters.size();
    for (const plan::Actor& actor : rig_->plan.actors) {
      if (actor.kind == plan::ActorKind::kClipNorm) make_task(actor);
      if (actor.kind == plan::ActorKind::kOptimizer) fill(actor, square);
    }
  }

  Status run() {
    std::vector<const Token*> inputs;
    std::vector<Token*> outputs;
    for (const Token& token : squares_) inputs.push_back(&token);
    for (Token& token : outputs_) outputs.push_back(&token);
    return rig_->run(*task_, 0, inputs, outputs);
  }

  void make_task(const plan::Actor& actor) {
    task_ = rig_->make(actor).value();
    outputs_.assign(actor.acts[0].outputs.size(), Token{});
  }
  void fill(const plan::Actor& actor, double square) {
    std::size_t count = 0;
    for (auto i = actor.first_layer; i < actor.last_layer; ++i)
      count += rig_->model.layers[i].parameters.size();
    squares_[actor.stage].scalars.assign(count, square);
  }

  std::optional<Rig> rig_;
  std::unique_ptr<Task> task_;
  std::vector<Token> squares_;
  std::vector<Token> outputs_;
  std::size_t count_ = 0;
};

TEST_F(ClipNormTest, ScalesALongGradientToTheLimitOnAnyCut) {
  for (const std::uint32_t stages : {1, 2, 4}) {
    SCOPED_TRACE(stages);
    make(0.5, stages, 4.0);
    ASSERT_TRUE(run().ok());
    const double norm = std::sqrt(4.0 * static_cast<double>(count_));
    for (const Token& output : outputs_) {
      ASSERT_EQ(output.scalars.size(), 2u);
      EXPECT_DOUBLE_EQ(output.scalars[0], 0.5 / (norm + 1e-6));
      EXPECT_DOUBLE_EQ(output.scalars[1], norm);
    }
  }
}

TEST_F(ClipNormTest, LeavesAShortGradientAlone) {
  make(1e6, 2, 4.0);
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(outputs_[0].scalars[0], 1.0);
}

TEST_F(ClipNormTest, ALimitOfZeroIsNoLimit) {
  make(0, 2, 1e20);
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(outputs_[0].scalars[0], 1.0);
}

TEST_F(ClipNormTest, AddsInTheOrderOfNamesWhateverTheCut) {
  std::vector<double> norms;
  for (const std::uint32_t stages : {1, 2, 4}) {
    make(1, stages, 0.1);  // not a binary fraction: an order shows
    ASSERT_TRUE(run().ok());
    norms.push_back(outputs_[0].scalars[1]);
  }
  EXPECT_EQ(norms[0], norms[1]);
  EXPECT_EQ(norms[0], norms[2]);
}

TEST_F(ClipNormTest, StopsAtANormThatIsNotFinite) {
  for (const double poison :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    make(1, 2, 1.0);
    squares_[1].scalars[0] = poison;
    const Status status = run();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kPoison);
  }
}

TEST_F(ClipNormTest, PassesOnAnEmptyRound) {
  make(1, 2, 1.0);
  for (Token& token : squares_) {
    token.empty = true;
    token.scalars.clear();
  }
  ASSERT_TRUE(run().ok());
  for (const Token& output : outputs_) EXPECT_TRUE(output.empty);
}

TEST_F(ClipNormTest, RefusesSquaresOfAnotherRoundOrStage) {
  make(1, 2, 1.0);
  squares_[1].round.number = 9;
  EXPECT_FALSE(run().ok());
  make(1, 2, 1.0);
  squares_[1].scalars.pop_back();
  EXPECT_FALSE(run().ok());
}

}  // namespace
}  // namespace reef::actors
