// An attention layer whose sequences replicas share: together they make what one would, and nothing
// that a replica can put into a token may end another.

#include "actors/model/ring_layer.h"

#include <functional>

#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "ops/nn/trained_parameter.h"
#include "tests/unit/actors/rig.h"

namespace reef::actors {
namespace {

using ops::Tensor;

constexpr std::size_t kLayer = 1;
constexpr std::int64_t kTokens = 16, kWidth = 8;

nn::ModelSpec spec_of_test() {
  return nn::model_spec(
      nn::GptConfig{.n_positions = kTokens, .n_embd = kWidth, .n_layer = 1, .n_head = 2});
}

Token token_of(const Tensor& tensor, std::uint32_t micro = 0) {
  Token token;
  token.round = {.number = 0, .step = 1};
  token.micro = micro;
  token.tensors = {tensor};
  return token;
}

/// The replicas of one context, played act by act.
class RingLayerTest : public testing::TestWithParam<std::int64_t> {
 protected:
  RingLayerTest() {
    for (const nn::Parameter& parameter : spec_.layers[kLayer].parameters)
      weights_[parameter.name] = nn::trained(context_, parameter, 1).weight();
    for (std::int64_t rank = 0; rank < ranks_; ++rank) {
      shares_.push_back({ranks_, rank});
      layers_.emplace_back(spec_, kLayer, shares_.back(), ops::Shape{1, kTokens / ranks_});
    }
  }

  Firing firing(std::uint64_t number, std::vector<const Token*> inputs,
                std::vector<Token*> outputs) {
    inputs_ = std::move(inputs);
    outputs_ = std::move(outputs);
    return {0, number, inputs_, outputs_, context_};
  }
  std::size_t before(std::size_t rank) const {
    return (rank + layers_.size() - 1) % layers_.size();
  }

  /// Of every rank: the layer's output.
  Status forward(const std::vector<Token>& inputs, std::vector<Token>& results) {
    const std::size_t n = inputs.size();
    std::vector<Token> keys(n);
    for (Token& token : keys) token.empty = true;
    results.assign(n, {});
    for (std::size_t step = 0; step < n; ++step, ++forward_) {
      std::vector<Token> next(n), stash(n);
      for (std::size_t r = 0; r < n; ++r) {
        const bool last = step + 1 == n;
        Firing now = firing(forward_, {&inputs[r], &keys[before(r)]},
                            {last ? &results[r] : nullptr, last ? &stash[r] : nullptr, &next[r]});
        const nn::Sample sample{1, 1, 0, inputs[r].round.training(), shares_[r]};
        ATOLL_TRY(layers_[r].forward(now, weights_, sample));
      }
      keys = std::move(next);
      if (spoil_keys_ && step == 0) spoil_keys_(keys[0]);
    }
    for (const Token& token : keys) EXPECT_TRUE(token.empty && token.tensors.empty());
    return {};
  }

  struct Grads {
    std::vector<Tensor> inputs;  ///< by rank
    nn::Parameters sums;
  };
  Status backward(const std::vector<Token>& grads, Grads& results) {
    const std::size_t n = grads.size();
    std::vector<Token> keys(n), sums(n);
    for (std::size_t step = 0; step <= n; ++step, ++backward_) {
      std::vector<Token> next(n), next_sums(n);
      for (std::size_t r = 0; r < n; ++r) {
        const Token stash;
        Token result;
        Firing now = firing(backward_, {&grads[r], &stash, &keys[before(r)], &sums[before(r)]},
                            {step == n ? &result : nullptr, &next[r], &next_sums[r]});
        ATOLL_ASSIGN(RingLayer::Opened opened, layers_[r].backward(now, weights_));
        EXPECT_EQ(opened.grad.defined(), step == n && !grads[r].empty);
        EXPECT_EQ(result.empty, step == n && grads[r].empty);
        if (opened.grad.defined()) add(std::move(opened), results);
      }
      keys = std::move(next);
      sums = std::move(next_sums);
      if (spoil_keys_back_ && step == 0) spoil_keys_back_(keys[0]);
      if (spoil_sums_ && step == 0) spoil_sums_(sums[0]);
      if (spoil_home_ && step + 1 == n) spoil_home_(sums[0]);
    }
    return {};
  }

  void add(RingLayer::Opened opened, Grads& results) {
    results.inputs.push_back(opened.grad);
    for (auto* later : {&opened.close, &opened.open}) {
      for (const auto& [name, grad] : later->compute(context_)) {
        Tensor& sum = results.sums[name];
        sum = sum.defined() ? ops::add(context_, sum, grad) : grad;
      }
    }
  }

  std::vector<Token> parts_of(const Tensor& whole) {
    std::vector<Token> parts;
    for (const nn::ContextShare& share : shares_)
      parts.push_back(token_of(nn::part_of(context_, share, whole)));
    return parts;
  }
  Tensor random(std::uint64_t row) {
    Tensor tensor = Tensor::empty(context_.pool(), ops::DType::kF32, {1, kTokens, kWidth});
    const Random draws(3, "ring");
    std::uint64_t i = 0;
    for (float& value : tensor.values<float>()) value = draws.normal(row, i++);
    return tensor;
  }
  static void expect_near(const Tensor& a, const Tensor& b, const std::string& what) {
    ASSERT_EQ(a.shape(), b.shape()) << what;
    for (std::int64_t i = 0; i < a.elements(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      ASSERT_NEAR(a.values<float>()[at], b.values<float>()[at], 2e-5) << what << ' ' << i;
    }
  }

  const std::int64_t ranks_ = GetParam();
  ops::ThreadPool context_{1};
  const nn::ModelSpec spec_ = spec_of_test();
  nn::Parameters weights_;
  std::vector<nn::ContextShare> shares_;
  std::deque<RingLayer> layers_;
  std::vector<const Token*> inputs_;
  std::vector<Token*> outputs_;
  std::uint64_t forward_ = 0, backward_ = 0;  ///< firings
  std::function<void(Token&)> spoil_keys_, spoil_keys_back_, spoil_sums_, spoil_home_;
};

TEST_P(RingLayerTest, MakesWhatOneReplicaWould) {
  const Tensor x = random(0), grad = random(1);
  const nn::Stage stage(spec_, kLayer, kLayer + 1);
  std::unique_ptr<ops::Tape> tape;
  const Tensor y = stage.forward(context_, weights_, x, {1, 1}, &tape);
  nn::Parameters grads;
  const Tensor grad_x = stage.backward(context_, weights_, *tape, grad, grads);

  std::vector<Token> outputs;
  ASSERT_TRUE(forward(parts_of(x), outputs).ok());
  Grads found;
  ASSERT_TRUE(backward(parts_of(grad), found).ok());
  for (std::size_t r = 0; r < outputs.size(); ++r) {
    expect_near(outputs[r].tensors.at(0), nn::part_of(context_, shares_[r], y), "output");
    expect_near(found.inputs[r], nn::part_of(context_, shares_[r], grad_x), "gradient");
  }
  ASSERT_EQ(found.sums.size(), grads.size());
  for (const auto& [name, one] : grads) expect_near(found.sums.at(name), one, name);
}

TEST_P(RingLayerTest, LetsEvaluationsPass) {
  std::vector<Token> inputs = parts_of(random(0)), outputs;
  for (Token& input : inputs) input.round.evaluation = 1;
  ASSERT_TRUE(forward(inputs, outputs).ok());
  for (Token& output : outputs) {
    EXPECT_EQ(output.round, inputs[0].round);
    output.tensors.clear();
    output.empty = true;
  }
  Grads found;
  ASSERT_TRUE(backward(outputs, found).ok());
  EXPECT_TRUE(found.inputs.empty());
  // And the next round is one like any other.
  ASSERT_TRUE(forward(parts_of(random(0)), outputs).ok());
  ASSERT_TRUE(backward(parts_of(random(1)), found).ok());
}

TEST_P(RingLayerTest, RefusesWhatIsNotDue) {
  const std::pair<const char*, std::function<void(Token&)>> rows[] = {
      {"another micro-batch", [](Token& token) { token.micro = 1; }},
      {"another round", [](Token& token) { token.round.step = 7; }},
      {"nothing", [](Token& token) { token.empty = true; }},
      {"no tensor", [](Token& token) { token.tensors.clear(); }},
      {"two tensors", [](Token& token) { token.tensors.push_back(token.tensors[0]); }},
      {"another shape",
       [this](Token& token) {
         token.tensors = {wild_tensor(context_, {1, 2, 2, 2}, 0)};
       }},
      {"another dtype",
       [this](Token& token) {
         token.tensors = {ops::cast(context_, token.tensors[0], ops::DType::kBF16)};
       }},
  };
  const auto refused = [](const Status& status, const std::string& what) {
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_TRUE(status.error().code == Code::kProto || status.error().code == Code::kTensor)
        << what;
  };
  for (const auto& [what, spoil] : rows) {
    const auto fresh = [&] {
      layers_.clear();
      forward_ = backward_ = 0;
      spoil_keys_ = spoil_keys_back_ = spoil_sums_ = spoil_home_ = nullptr;
      for (const nn::ContextShare& share : shares_)
        layers_.emplace_back(spec_, kLayer, share, ops::Shape{1, kTokens / ranks_});
    };
    std::vector<Token> outputs;
    fresh();
    spoil_keys_ = spoil;
    refused(forward(parts_of(random(0)), outputs), std::string("keys: ") + what);
    for (std::function<void(Token&)>* where : {&spoil_keys_back_, &spoil_sums_, &spoil_home_}) {
      fresh();
      ASSERT_TRUE(forward(parts_of(random(0)), outputs).ok());
      *where = spoil;
      Grads found;
      refused(backward(parts_of(random(1)), found), std::string("backward: ") + what);
    }
  }
}

TEST_P(RingLayerTest, RefusesFiringsOutOfTurn) {
  const Token token = token_of(random(0));
  Token out;
  const std::vector<const Token*> inputs(4, &token);
  const std::vector<Token*> outputs(4, &out);
  Firing meets = firing(1, inputs, outputs);
  EXPECT_EQ(layers_[0].forward(meets, weights_, {}).error().code, Code::kProto);
  for (std::int64_t step = 0; step <= ranks_; ++step) {
    Firing now = firing(static_cast<std::uint64_t>(step), inputs, outputs);
    EXPECT_EQ(layers_[0].backward(now, weights_).error().code, Code::kProto) << step;
  }
}

/// A plan may want fewer tokens of an act than it makes.
TEST_P(RingLayerTest, RefusesAFiringWithoutTheTokensThatItMakes) {
  const std::vector<Token> inputs = parts_of(random(0));
  Firing opens = firing(0, {&inputs[0], &inputs[0]}, {nullptr, nullptr, nullptr});
  EXPECT_EQ(layers_[0].forward(opens, weights_, {1, 1, 0, true, shares_[0]}).error().code,
            Code::kProto);
}

INSTANTIATE_TEST_SUITE_P(Ranks, RingLayerTest, testing::Values(2, 4));

}  // namespace
}  // namespace reef::actors
