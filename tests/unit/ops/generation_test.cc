#include "ops/nn/generation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "runtime/base/random.h"
#include "tests/unit/ops/models.h"

namespace reef::nn {
namespace {

using ops::Tensor;
using ops::ThreadPool;
using Tokens = std::vector<std::int32_t>;

constexpr Sampling kGreedy{.temperature = 0};

Tokens prompt(std::int64_t length, const char* name) {
  const Tensor tokens = ops::testing::integers({length}, name, kSmallVocabulary);
  const auto values = tokens.values<std::int32_t>();
  return {values.begin(), values.end()};
}

/// What generate() promises, by a pass over the whole text for each token.
Tokens recomputed(ops::Context& context, const ModelSpec& spec, const Parameters& weights,
                  Tokens text, std::size_t index, const Generation& how) {
  const Stage stage(spec, 0, spec.layers.size());
  const Random random(how.seed, "generate");
  const std::size_t begun = text.size();
  for (std::size_t i = 0; i < how.tokens; ++i) {
    const auto length = std::min<std::size_t>(text.size(), kSmallContext);
    const std::span<const std::int32_t> window(text.end() - static_cast<std::ptrdiff_t>(length),
                                               text.end());
    const Tensor tokens =
        Tensor::from(context.pool(), {1, static_cast<std::int64_t>(length)}, window);
    const Tensor logits = stage.forward(context, weights, tokens, {.training = false}, nullptr);
    text.push_back(choose(logits.values<float>().last(kSmallVocabulary), how.sampling,
                          random.uniform(index, i)));
  }
  return {text.begin() + static_cast<std::ptrdiff_t>(begun), text.end()};
}

Tokens continued(ops::Context& context, const ModelSpec& spec, const Parameters& weights,
                 const Tokens& from, const Generation& how) {
  return generate(context, spec, weights, {from}, how).value()[0];
}

TEST(Choose, TakesTheFirstOfTheMostLikely) {
  const std::vector<float> logits{1, 3, -2, 3};
  EXPECT_EQ(choose(logits, kGreedy, 0.99f), 1);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_k = 1}, 0.99f), 1);
  EXPECT_EQ(choose(logits, {.temperature = 1, .top_p = 0}, 0.99f), 1);
  EXPECT_EQ(choose(std::vector<float>{-1}, {.top_k = 0}, 0.5f), 0);
}

TEST(Choose, DividesTheUnitIntervalByProbability) {
  // Probabilities 1/8, 1/2, 1/8, 1/4; the likelier first.
  const std::vector<float> logits{std::log(1.0f), std::log(4.0f), std::log(1.0f), std::log(2.0f)};
  const Sampling all{.temperature = 1, .top_k = 0};
  EXPECT_EQ(choose(logits, all, 0), 1);
  EXPECT_EQ(choose(logits, all, 0.49f), 1);
  EXPECT_EQ(choose(logits, all, 0.51f), 3);
  EXPECT_EQ(choose(logits, all, 0.74f), 3);
  EXPECT_EQ(choose(logits, all, 0.76f), 0);
  EXPECT_EQ(choose(logits, all, 0.88f), 2);
  // Two are left with 2/3 and 1/3.
  for (const Sampling& two : {Sampling{.temperature = 1, .top_k = 2},
                              Sampling{.temperature = 1, .top_k = 0, .top_p = 0.6}}) {
    EXPECT_EQ(choose(logits, two, 0.65f), 1);
    EXPECT_EQ(choose(logits, two, 0.68f), 3);
    EXPECT_EQ(choose(logits, two, 0.99f), 3);
  }
  // Half the temperature squares their relations: 16 : 4 : 1 : 1.
  const Sampling cool{.temperature = 0.5, .top_k = 0};
  EXPECT_EQ(choose(logits, cool, 0.72f), 1);
  EXPECT_EQ(choose(logits, cool, 0.74f), 3);
}

TEST(Generate, GivesWhatRecomputingGives) {
  ThreadPool context(2);
  // Of several lengths, some alike; one of them fills the context, and one is longer.
  const std::vector<Tokens> prompts{prompt(5, "a"),  prompt(1, "b"),  prompt(5, "c"),
                                    prompt(40, "d"), prompt(50, "e"), prompt(5, "f")};
  for (const ModelSpec& spec : small_models(Precision::kF32)) {
    const Parameters weights = random_weights(spec);
    for (const Sampling& sampling : {kGreedy, Sampling{.temperature = 1, .top_k = 0},
                                     Sampling{.temperature = 0.9, .top_p = 0.8}}) {
      const Generation how{.tokens = 45, .sampling = sampling, .seed = 3};
      const auto found = generate(context, spec, weights, prompts, how).value();
      for (std::size_t i = 0; i < prompts.size(); ++i) {
        EXPECT_EQ(found[i], recomputed(context, spec, weights, prompts[i], i, how))
            << family_of(spec.config) << ", prompt " << i << ", temperature "
            << sampling.temperature;
      }
    }
  }
}

TEST(Generate, IsAFunctionOfTheSeed) {
  ThreadPool context(1);
  const ModelSpec spec = small_models(Precision::kF32)[1];
  const Parameters weights = random_weights(spec);
  Generation how{.tokens = 20, .sampling = {.temperature = 1}, .seed = 1};
  const Tokens once = continued(context, spec, weights, {7}, how);
  EXPECT_EQ(continued(context, spec, weights, {7}, how), once);
  how.seed = 2;
  EXPECT_NE(continued(context, spec, weights, {7}, how), once);
}

TEST(Generate, StopsBehindTheEnd) {
  ThreadPool context(1);
  const ModelSpec spec = small_models(Precision::kF32)[0];
  const Parameters weights = random_weights(spec);
  Generation how{.tokens = 20, .sampling = {.temperature = 1}, .seed = 1};
  const std::vector<Tokens> prompts{{7, 8}, {9, 10}, {11}};
  const auto whole = generate(context, spec, weights, prompts, how).value();
  how.end = whole[0][6];
  std::vector<Tokens> streamed(3);
  const auto cut =
      generate(context, spec, weights, prompts, how, [&](std::size_t i, std::int32_t token) {
        streamed[i].push_back(token);
      }).value();
  EXPECT_LE(cut[0].size(), 7u);
  EXPECT_EQ(cut[0].back(), *how.end);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto end = std::find(whole[i].begin(), whole[i].end(), *how.end);
    const Tokens expected(whole[i].begin(), end == whole[i].end() ? end : end + 1);
    EXPECT_EQ(cut[i], expected);
    EXPECT_EQ(streamed[i], expected);
  }
}

TEST(Generate, StopsAtTheContextWhereToldTo) {
  ThreadPool context(1);
  const ModelSpec spec = small_models(Precision::kF32)[0];
  const Parameters weights = random_weights(spec);
  Generation how{.tokens = 60, .sampling = kGreedy};
  const std::vector<Tokens> prompts{prompt(30, "a"), prompt(40, "b"), prompt(50, "c")};
  const auto whole = generate(context, spec, weights, prompts, how).value();
  how.beyond_context = false;
  const auto cut = generate(context, spec, weights, prompts, how).value();
  EXPECT_EQ(cut[0], Tokens(whole[0].begin(), whole[0].begin() + 10));
  EXPECT_TRUE(cut[1].empty());
  EXPECT_TRUE(cut[2].empty());
}

TEST(Generate, ChoosesNoTokenThatTheTokenizerLacks) {
  ThreadPool context(1);
  const ModelSpec spec = small_models(Precision::kF32)[0];
  const Parameters weights = random_weights(spec);
  const Generation how{
      .tokens = 60, .sampling = {.temperature = 5, .top_k = 0}, .seed = 1, .vocabulary = 4};
  for (const std::int32_t token : continued(context, spec, weights, {1}, how)) EXPECT_LT(token, 4);
  EXPECT_TRUE(continued(context, spec, weights, {1}, {.tokens = 0}).empty());
}

TEST(Generate, RefusesWeightsThatAreNotNumbers) {
  ThreadPool context(1);
  const ModelSpec spec = small_models(Precision::kF32)[0];
  Parameters weights = random_weights(spec);
  weights.at("ln_f.bias").values<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  const auto found = generate(context, spec, weights, {{1}}, {});
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, Code::kPoison);
}

}  // namespace
}  // namespace reef::nn
