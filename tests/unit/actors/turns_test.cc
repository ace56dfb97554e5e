// Where replicas share weights out (ZeRO stage 3): buckets of layers that compute in turn, each
// with weights gathered for it, and syncs that take their gradients.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "actors/sync/exchanges.h"
#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "ops/nn/trained_parameter.h"
#include "rig.h"
#include "scheduler/plan/gathered.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

constexpr Round kTraining{.number = 0, .step = 1};
constexpr std::uint32_t kReplicas = 2;

job::Job job_of(std::uint32_t zero_stage) {
  job::Job job = tiny_job(kReplicas, 1);
  std::get<nn::GptConfig>(job.model).vocab_size = 200'000;  // larger than a piece
  job.training.leaves = 2;
  job.parallelism.zero_stage = zero_stage;
  job.parallelism.bucket_bytes = 1;
  return job;
}

class TurnsTest : public testing::Test {
 protected:
  const plan::Actor& named(const std::string& name) const {
    return *std::ranges::find(rig_.plan.actors, name, &plan::Actor::name);
  }
  plan::Buckets buckets() const { return plan::buckets_of(rig_.plan, named("layers/r0/s0")); }
  const ops::Tensor& weight(const nn::Parameter& parameter) {
    ops::Tensor& tensor = weights_[parameter.name];
    if (!tensor.defined()) tensor = nn::trained(rig_.context, parameter, 1).weight();
    return tensor;
  }
  Token weights_of(plan::LayerRange layers) {
    Token token;
    for (const nn::Parameter& parameter : plan::gathered(rig_.model, layers))
      token.tensors.push_back(weight(parameter));
    return token;
  }
  Token tokens() {
    Token token;
    token.round = kTraining;
    constexpr std::array kTokens{1, 2, 3, 4, 5, 6, 7, 8};
    token.tensors = {ops::Tensor::from<std::int32_t>(rig_.context.pool(), {1, 8}, kTokens)};
    return token;
  }
  Token gradient() {
    Token token;
    token.round = kTraining;
    token.tensors = {wild_tensor(rig_.context, {1, 8, 200'000}, 1)};
    return token;
  }
  /// What one device would compute.
  nn::Parameters expected(ops::Tensor& logits) {
    const auto last = static_cast<std::uint32_t>(rig_.model.layers.size());
    const nn::Stage stage(rig_.model, 0, last);
    nn::Parameters all, gradients;
    for (const nn::Parameter& parameter : stage.parameters())
      all[parameter.name] = weight(parameter);
    std::unique_ptr<ops::Tape> tape;
    const nn::Sample sample{rig_.job.training.seed, 1, 0, true, {}};
    logits = stage.forward(rig_.context, all, tokens().tensors[0], sample, &tape);
    stage.backward(rig_.context, all, *tape, gradient().tensors[0], gradients);
    return gradients;
  }

  Rig rig_{job_of(3), 2};
  nn::Parameters weights_;
};

TEST_F(TurnsTest, ComputeWhatAllLayersAtOnceWould) {
  const auto shard = rig_.make(named("layers/r0/s0")).value();
  const std::uint32_t count = buckets().count();
  ASSERT_EQ(count, rig_.model.layers.size());
  const Token input = tokens(), turn, output_gradient = gradient();
  Token output, stash;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Token weights = weights_of(buckets().layers(i));
    const bool last = i + 1 == count;
    ASSERT_TRUE(rig_.run(*shard, 0, {&input, &turn, &weights},
                         {last ? &output : nullptr, last ? &stash : nullptr}, i)
                    .ok());
  }
  ops::Tensor logits;
  nn::Parameters gradients = expected(logits);
  EXPECT_TRUE(same_bits(output.tensors.at(0), logits));
  for (std::uint32_t i = 0; i < count; ++i) {
    const plan::LayerRange layers = buckets().layers(count - 1 - i);
    const Token weights = weights_of(layers);
    Token given, next;
    ASSERT_TRUE(rig_.run(*shard, 1, {&output_gradient, &stash, &weights},
                         {&given, i + 1 == count ? &next : nullptr}, i)
                    .ok());
    const auto expected = gradients_of(rig_.model, layers, false);
    ASSERT_EQ(given.tensors.size(), expected.size());
    for (std::size_t k = 0; k < expected.size(); ++k)
      EXPECT_TRUE(same_bits(given.tensors[k], gradients.at(expected[k].name))) << expected[k].name;
  }
}

TEST_F(TurnsTest, RefuseWeightsOfOtherLayers) {
  const auto shard = rig_.make(named("layers/r0/s0")).value();
  const Token input = tokens(), turn;
  Token weights = weights_of(buckets().layers(0));
  const auto code = [&](const Token& damaged) {
    const auto fresh = rig_.make(named("layers/r0/s0")).value();
    return rig_.run(*fresh, 0, {&input, &turn, &damaged}, {nullptr, nullptr}).error().code;
  };
  Token damaged = weights;
  damaged.tensors.pop_back();
  EXPECT_EQ(code(damaged), Code::kTensor);
  damaged = weights;
  std::swap(damaged.tensors.front(), damaged.tensors.back());
  EXPECT_EQ(code(damaged), Code::kTensor);
  EXPECT_TRUE(rig_.run(*shard, 0, {&input, &turn, &weights}, {nullptr, nullptr}).ok());
}

TEST_F(TurnsTest, GetEveryBucketFromItsOwners) {
  const plan::Deal deal = plan::deal_of(rig_.model, rig_.plan);
  const auto last = static_cast<std::uint32_t>(rig_.model.layers.size());
  std::array<Token, kReplicas> slices;
  for (std::uint32_t r = 0; r < kReplicas; ++r) {
    for (const plan::Slice& slice : deal.owned({0, last}, r)) {
      for (const nn::Parameter& parameter : plan::gathered(rig_.model, {0, last})) {
        if (parameter.name != slice.parameter) continue;
        const ops::Tensor& whole = weight(parameter);
        slices[r].tensors.push_back(
            whole.reshape({whole.elements()}).slice(slice.first, slice.count));
      }
    }
  }
  EXPECT_GT(deal.of("wte.weight").size(), 1u);
  for (const char* direction : {"/forward", "/backward"}) {
    std::vector<std::unique_ptr<Task>> gathers;
    for (std::uint32_t r = 0; r < kReplicas; ++r) {
      gathers.push_back(
          rig_.make(named("gather/r" + std::to_string(r) + "/s0" + direction)).value());
      ASSERT_TRUE(gathers[r]->start(rig_.context, {}).ok());
    }
    const std::uint32_t count = buckets().count();
    for (std::uint32_t i = 0; i < count; ++i) {
      std::array<Token, kReplicas> kept, sent, weights;
      for (std::uint32_t r = 0; r < kReplicas; ++r)
        ASSERT_TRUE(rig_.run(*gathers[r], 0, {&slices[r]}, {&kept[r], &sent[r]}, i).ok());
      for (std::uint32_t r = 0; r < kReplicas; ++r)
        ASSERT_TRUE(rig_.run(*gathers[r], 1, {&kept[r], &sent[1 - r]}, {&weights[r]}, i).ok());
      const std::uint32_t bucket = direction[1] == 'f' ? i : count - 1 - i;
      const Token expected = weights_of(buckets().layers(bucket));
      for (const Token& token : weights) {
        ASSERT_EQ(token.tensors.size(), expected.tensors.size());
        for (std::size_t k = 0; k < expected.tensors.size(); ++k)
          EXPECT_TRUE(same_bits(token.tensors[k], expected.tensors[k]));
      }
    }
  }
}

TEST_F(TurnsTest, GiveTheirGradientsToTheirOwners) {
  const plan::Deal deal = plan::deal_of(rig_.model, rig_.plan);
  const std::uint32_t count = buckets().count();
  std::array<std::unique_ptr<Task>, kReplicas> syncs;
  for (std::uint32_t r = 0; r < kReplicas; ++r)
    syncs[r] = rig_.make(named("sync/r" + std::to_string(r) + "/s0")).value();
  std::array<Token, kReplicas> reduced;
  std::map<std::string, ops::Tensor> sums;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::array<Token, kReplicas> kept, sent;
    std::array<std::vector<ops::Tensor>, kReplicas> given;
    const auto gradients = gradients_of(rig_.model, buckets().layers(count - 1 - i), false);
    for (std::uint32_t r = 0; r < kReplicas; ++r) {
      Token token;
      token.round = kTraining;
      for (const Gradient& gradient : gradients) {
        token.tensors.push_back(
            wild_tensor(rig_.context, gradient.shape, 100 * r + 10 * i + token.tensors.size()));
      }
      given[r] = token.tensors;
      ASSERT_TRUE(rig_.run(*syncs[r], 0, {&token}, {&kept[r], &sent[r]}, i).ok());
    }
    for (std::size_t k = 0; k < gradients.size(); ++k)
      sums[gradients[k].name] = ops::add(rig_.context, given[0][k], given[1][k]);
    for (std::uint32_t r = 0; r < kReplicas; ++r) {
      Token* const port = i + 1 == count ? &reduced[r] : nullptr;
      ASSERT_TRUE(rig_.run(*syncs[r], 1, {&kept[r], &sent[1 - r]}, {port}, i).ok());
    }
  }
  std::array<std::size_t, kReplicas> at{};
  for (std::uint32_t b = 0; b < count; ++b) {
    for (const Gradient& gradient : gradients_of(rig_.model, buckets().layers(b), false)) {
      for (const plan::Slice& slice : deal.of(nn::parameter_of(gradient.name))) {
        const ops::Tensor& sum = sums.at(gradient.name);
        const auto& tensors = reduced[slice.owner].tensors;
        ASSERT_LT(at[slice.owner], tensors.size());
        EXPECT_TRUE(same_bits(tensors[at[slice.owner]++],
                              sum.reshape({sum.elements()}).slice(slice.first, slice.count)))
            << gradient.name;
      }
    }
  }
  for (std::uint32_t r = 0; r < kReplicas; ++r) EXPECT_EQ(at[r], reduced[r].tensors.size());
}

}  // namespace
}  // namespace reef::actors
