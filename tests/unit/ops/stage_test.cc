#include "ops/nn/stage.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/ops/support.h"

namespace reef::nn {
namespace {

using ops::Shape;
using ops::Tape;
using ops::Tensor;
using ops::ThreadPool;
using ops::testing::difference;
using ops::testing::integers;
using ops::testing::normal;
using ops::testing::same_bits;

GptConfig small(float dropout) {
  return {.vocab_size = 131,
          .n_positions = 80,
          .n_embd = 48,
          .n_layer = 6,
          .n_head = 3,
          .embd_pdrop = dropout,
          .attn_pdrop = dropout,
          .resid_pdrop = dropout};
}

Parameters initial_weights(const ModelSpec& spec, std::uint64_t seed) {
  ThreadPool context(1);
  Parameters weights;
  for (const Layer& layer : spec.layers) {
    for (const Parameter& p : layer.parameters) {
      weights[p.name] = ops::cast(context, initial_value(p, seed), p.dtype);
    }
  }
  return weights;
}

/// Six heads of queries share three of keys and values.
LlamaConfig small_llama(bool tied) {
  return {.vocab_size = 131,
          .hidden_size = 48,
          .intermediate_size = 112,
          .num_hidden_layers = 6,
          .num_attention_heads = 6,
          .num_key_value_heads = 3,
          .max_position_embeddings = 80,
          .tie_word_embeddings = tied};
}

/// Fourteen layers each, contexts of 80 and 131 tokens.
std::vector<ModelSpec> variants() {
  std::vector<ModelSpec> specs;
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    for (const float dropout : {0.0f, 0.2f}) {
      specs.push_back(model_spec(small(dropout), precision));
    }
    for (const bool tied : {false, true}) {
      specs.push_back(model_spec(small_llama(tied), precision));
    }
  }
  return specs;
}

std::string describe(const ModelSpec& spec) {
  return std::string(family_of(spec.config)) + " " + std::string(ops::name_of(spec.activations));
}

struct Outcome {
  double loss = 0;
  Tensor logits;
  Parameters grads;
};

/// One micro-batch through the model cut into `count` stages; `in_halves`: all gradients of inputs
/// before any of a weight.
Outcome run(ops::Context& context, const ModelSpec& spec, const Parameters& weights,
            std::size_t count, const Sample& sample, std::int64_t batch = 3,
            bool in_halves = false) {
  std::vector<Stage> stages;
  for (std::size_t i = 0; i < count; ++i) {
    stages.emplace_back(spec, spec.layers.size() * i / count, spec.layers.size() * (i + 1) / count);
  }
  const std::int64_t length = longest_context_of(spec.config);
  const auto bound = static_cast<std::uint64_t>(vocabulary_of(spec.config));
  std::vector<std::unique_ptr<Tape>> tapes(count);
  Tensor x = integers({batch, length}, "tokens", bound);
  for (std::size_t i = 0; i < count; ++i) {
    x = stages[i].forward(context, weights, x, sample, &tapes[i]);
  }
  Outcome outcome;
  outcome.logits = x;
  const LossResult loss = cross_entropy(context, x, integers({batch, length}, "targets", bound),
                                        1.0f / static_cast<float>(batch * length), true);
  outcome.loss = loss.loss_sum;
  Tensor grad = loss.grad_logits;
  std::vector<ops::LaterGradients> later(count);
  for (std::size_t i = count; i-- > 0;) {
    grad = in_halves ? stages[i].backward_input(context, weights, *tapes[i], grad, later[i])
                     : stages[i].backward(context, weights, *tapes[i], grad, outcome.grads);
    EXPECT_EQ(grad.defined(), i != 0);
    tapes[i].reset();
  }
  for (ops::LaterGradients& rest : later) outcome.grads.merge(rest.compute(context));
  return outcome;
}

void expect_same(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_TRUE(same_bits(a.logits, b.logits));
  ASSERT_EQ(a.grads.size(), b.grads.size());
  for (const auto& [name, grad] : a.grads) {
    EXPECT_TRUE(same_bits(grad, b.grads.at(name))) << name;
  }
}

TEST(Stage, AnyCutAndAnyThreadCountGiveTheSameBits) {
  for (const ModelSpec& spec : variants()) {
    const Parameters weights = initial_weights(spec, 5);
    const Sample sample{9, 4, 32, true};
    ThreadPool one(1);
    const Outcome whole = run(one, spec, weights, 1, sample);
    for (const std::size_t threads : {1, 2, 3}) {
      ThreadPool context(threads);
      for (const std::size_t count : {1, 2, 4, 8}) {
        SCOPED_TRACE(describe(spec) + ", " + std::to_string(count) + " stages, " +
                     std::to_string(threads) + " threads");
        expect_same(run(context, spec, weights, count, sample), whole);
      }
    }
  }
}

TEST(Stage, BackwardInHalvesGivesTheSameBits) {
  for (const ModelSpec& spec : variants()) {
    const Parameters weights = initial_weights(spec, 5);
    const Sample sample{9, 4, 32, true};
    ThreadPool context(2);
    const Outcome whole = run(context, spec, weights, 1, sample);
    for (const std::size_t count : {1, 4, 8}) {
      expect_same(run(context, spec, weights, count, sample, 3, true), whole);
    }
  }
}

TEST(Stage, RecomputingGivesTheSameBitsAndKeepsInputsAlone) {
  for (const Recompute recompute : {Recompute::kSelective, Recompute::kFull}) {
    for (const ModelSpec& plain : variants()) {
      SCOPED_TRACE(describe(plain) + ", " + std::string(name_of(recompute)));
      const Precision precision =
          plain.activations == ops::DType::kBF16 ? Precision::kBF16 : Precision::kF32;
      const ModelSpec spec = model_spec(plain.config, precision, recompute);
      const Parameters weights = initial_weights(spec, 5);
      const Sample sample{9, 4, 32, true};
      ThreadPool context(2);
      const Outcome whole = run(context, plain, weights, 1, sample);
      expect_same(run(context, spec, weights, 1, sample), whole);
      expect_same(run(context, spec, weights, 4, sample, 3, true), whole);

      double expected = 0;
      for (const Layer& layer : spec.layers) {
        expected += layer.recomputed ? 48 * static_cast<double>(ops::size_of(spec.activations))
                                     : layer.stash_bytes_per_token;
      }
      std::unique_ptr<Tape> tape;
      const Stage stage(spec, 0, spec.layers.size());
      stage.forward(context, weights, integers({2, 80}, "tokens", 131), {}, &tape);
      EXPECT_EQ(static_cast<double>(tape->stash_bytes()), expected * 2 * 80);
    }
  }
}

TEST(Stage, LeavesTheProductsOfWeightsForLater) {
  const ModelSpec spec = model_spec(small(0));
  const Parameters weights = initial_weights(spec, 5);
  ThreadPool context(1);
  const Stage block(spec, 1, 3);
  const Tensor x = normal({2, 80, 48}, "x");
  std::unique_ptr<Tape> tape;
  const Tensor y = block.forward(context, weights, x, {}, &tape);
  ops::LaterGradients later;
  block.backward_input(context, weights, *tape, y, later);
  EXPECT_GE(later.waiting(), 8u) << "four products with weights and biases";
  EXPECT_EQ(later.compute(context).size(), 12u);
  EXPECT_EQ(later.waiting(), 0u);
}

TEST(Stage, AgreesWithThePlainKernels) {
  GptConfig gpt = small(0.1f);
  gpt.n_layer = 2;
  LlamaConfig llama = small_llama(true);
  llama.num_hidden_layers = 2;
  ThreadPool fast(2);
  ThreadPool plain(1, ops::Device::kReference);
  for (const ModelSpec& spec : {model_spec(gpt), model_spec(llama)}) {
    const Parameters weights = initial_weights(spec, 5);
    const Outcome a = run(fast, spec, weights, 1, {}, 1);
    const Outcome b = run(plain, spec, weights, 1, {}, 1);
    EXPECT_NEAR(a.loss, b.loss, 1e-6 * b.loss);
    EXPECT_LE(difference(a.logits, b.logits), 1e-5);
    for (const auto& [name, grad] : b.grads) {
      EXPECT_LE(difference(a.grads.at(name), grad), 2e-5) << name;
    }
  }
}

TEST(Stage, WritesExactlyTheNamedGradients) {
  const ModelSpec spec = model_spec(small(0));
  ThreadPool context(1);
  const Outcome outcome = run(context, spec, initial_weights(spec, 5), 1, {});
  std::vector<std::string> written;
  for (const auto& [name, grad] : outcome.grads) written.push_back(name);
  EXPECT_EQ(written, gradient_names(Stage(spec, 0, spec.layers.size())));
  EXPECT_TRUE(outcome.grads.contains("wte.weight@head"));
  EXPECT_EQ(parameter_of("wte.weight@head"), "wte.weight");
  EXPECT_FALSE(same_bits(outcome.grads.at("wte.weight"), outcome.grads.at("wte.weight@head")));
}

TEST(Stage, KnowsWhatItBorrows) {
  const ModelSpec spec = model_spec(small(0));
  EXPECT_TRUE(Stage(spec, 0, 14).tied().empty());
  EXPECT_EQ(Stage(spec, 4, 14).tied(), std::vector<std::string>{"wte.weight"});
  EXPECT_TRUE(Stage(spec, 0, 4).tied().empty());
  EXPECT_TRUE(Stage(spec, 0, 4).is_first());
  EXPECT_FALSE(Stage(spec, 0, 4).is_last());
}

TEST(Stage, StashesWhatTheSpecSays) {
  for (const ModelSpec& spec : variants()) {
    SCOPED_TRACE(describe(spec));
    const Parameters weights = initial_weights(spec, 5);
    ThreadPool context(1);
    double expected = 0;
    for (const Layer& layer : spec.layers) expected += layer.stash_bytes_per_token * 2 * 80;
    std::unique_ptr<Tape> tape;
    const Stage stage(spec, 0, spec.layers.size());
    stage.forward(context, weights, integers({2, 80}, "tokens", 131), {}, &tape);
    EXPECT_EQ(static_cast<double>(tape->stash_bytes()), expected);
  }
}

TEST(Stage, GeneratesWithAnyLengthAndIgnoresWhatFollows) {
  for (const ModelSpec& spec : {model_spec(small(0.2f)), model_spec(small_llama(false))}) {
    const Parameters weights = initial_weights(spec, 5);
    const Stage stage(spec, 0, spec.layers.size());
    ThreadPool context(1);
    const Sample evaluation{.training = false};
    const Tensor tokens = integers({1, 80}, "tokens", 131);
    const Tensor all = stage.forward(context, weights, tokens, evaluation, nullptr);
    for (const std::int64_t length : {1, 2, 63, 80}) {
      const Tensor prefix = tokens.reshape({80}).slice(0, length).reshape({1, length});
      const Tensor logits = stage.forward(context, weights, prefix, evaluation, nullptr);
      EXPECT_EQ(logits.shape(), (Shape{1, length, 131}));
      EXPECT_LE(difference(logits.reshape({length, 131}), all.reshape({80, 131}).slice(0, length)),
                1e-5);
    }
  }
}

TEST(Stage, AsksTheSystemForNothingInTheSteadyState) {
  for (const ModelSpec& spec : {model_spec(small(0.1f)), model_spec(small_llama(true))}) {
    const Parameters weights = initial_weights(spec, 5);
    ThreadPool context(1);
    run(context, spec, weights, 2, {});
    const std::uint64_t misses = context.pool().statistics().misses;
    for (int i = 0; i < 3; ++i) run(context, spec, weights, 2, {});
    EXPECT_EQ(context.pool().statistics().misses, misses);
    EXPECT_EQ(context.pool().statistics().bytes_in_use, 0u);
  }
}

TEST(Spec, IsGpt2) {
  // The published size of GPT-2 small.
  const GptConfig small_gpt2{
      .vocab_size = 50257, .n_positions = 1024, .n_embd = 768, .n_layer = 12, .n_head = 12};
  EXPECT_EQ(parameter_count(model_spec(small_gpt2)), 124439808);
  const ModelSpec spec = model_spec({});
  EXPECT_EQ(spec.layers.size(), 10u);
  EXPECT_EQ(spec.layers[3].parameters[2].name, "h.1.attn.c_attn.weight");
  EXPECT_EQ(spec.layers[3].parameters[2].shape, (std::vector<std::int64_t>{192, 576}));
  EXPECT_TRUE(spec.layers[3].parameters[2].decay);
  EXPECT_FALSE(spec.layers[3].parameters[3].decay);
}

TEST(Spec, IsLlama) {
  // The published sizes of Llama 2 7B and of Llama 3.2 1B, whose head is tied.
  const LlamaConfig seven{.vocab_size = 32000,
                          .hidden_size = 4096,
                          .intermediate_size = 11008,
                          .num_hidden_layers = 32,
                          .num_attention_heads = 32,
                          .max_position_embeddings = 4096};
  EXPECT_EQ(parameter_count(model_spec(seven)), 6738415616);
  const LlamaConfig one{.vocab_size = 128256,
                        .hidden_size = 2048,
                        .intermediate_size = 8192,
                        .num_hidden_layers = 16,
                        .num_attention_heads = 32,
                        .num_key_value_heads = 8,
                        .max_position_embeddings = 131072,
                        .tie_word_embeddings = true};
  const ModelSpec spec = model_spec(one);
  EXPECT_EQ(parameter_count(spec), 1235814400);
  EXPECT_TRUE(is_tied(spec, "model.embed_tokens.weight"));
  EXPECT_EQ(spec.layers[1].parameters[2].name, "model.layers.0.self_attn.k_proj.weight");
  EXPECT_EQ(spec.layers[1].parameters[2].shape, (std::vector<std::int64_t>{512, 2048}));
}

TEST(Spec, CountsAttentionAtTheContextThatIsTrained) {
  const LlamaConfig llama{.max_position_embeddings = 131072};
  for (const ModelConfig& config :
       {ModelConfig(GptConfig{.n_positions = 131072}), ModelConfig(llama)}) {
    const ModelSpec longest = model_spec(config),
                    shorter = model_spec(config, Precision::kF32, Recompute::kNone, 128);
    EXPECT_EQ(longest.layers[1].forward_flops_per_token - shorter.layers[1].forward_flops_per_token,
              2.0 * 192 * (131072 - 128));
    EXPECT_EQ(longest.layers[1].stash_bytes_per_token, shorter.layers[1].stash_bytes_per_token);
  }
}

TEST(Spec, SaysWhatIsWrong) {
  EXPECT_EQ(problem_of({}), "");
  GptConfig config;
  config.n_head = 5;
  EXPECT_EQ(problem_of(config), "n_embd 192 is not a multiple of n_head 5");
  config = {};
  config.vocab_size = 0;
  EXPECT_NE(problem_of(config), "");
  config = {};
  config.attn_pdrop = 1;
  EXPECT_NE(problem_of(config), "");
  LlamaConfig llama;
  EXPECT_EQ(problem_of(llama), "");
  llama.num_key_value_heads = 4;
  EXPECT_EQ(problem_of(llama), "num_attention_heads 6 is not a multiple of num_key_value_heads 4");
  llama = {.hidden_size = 18, .num_attention_heads = 6};
  EXPECT_EQ(problem_of(llama), "a head has 3 channels; rotary positions need an even number");
}

TEST(Spec, InitialValuesDependOnNameAndSeedAlone) {
  const Parameter a{"h.0.mlp.c_fc.weight", {64, 256}, Init::normal(0.02f), true};
  Parameter b = a;
  b.name = "h.1.mlp.c_fc.weight";
  const Tensor value = initial_value(a, 1);
  EXPECT_TRUE(same_bits(value, initial_value(a, 1)));
  EXPECT_FALSE(same_bits(value, initial_value(a, 2)));
  EXPECT_FALSE(same_bits(value, initial_value(b, 1)));
  double squares = 0;
  for (const float x : value.values<float>()) squares += x * x;
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(value.elements())), 0.02, 0.0005);
}

TEST(CheckTokens, RefusesWhatNoStageMaySee) {
  const GptConfig config = small(0);
  EXPECT_TRUE(check_tokens(config, integers({2, 80}, "t", 131)).ok());
  EXPECT_FALSE(check_tokens(config, integers({2, 81}, "t", 131)).ok());
  EXPECT_FALSE(check_tokens(config, integers({160}, "t", 131)).ok());
  EXPECT_FALSE(check_tokens(config, normal({2, 80}, "t")).ok());
  EXPECT_FALSE(check_tokens(config, {}).ok());
  const Tensor tokens = integers({2, 80}, "t", 131);
  tokens.values<std::int32_t>()[7] = 131;
  EXPECT_FALSE(check_tokens(config, tokens).ok());
  tokens.values<std::int32_t>()[7] = -1;
  EXPECT_FALSE(check_tokens(config, tokens).ok());
}

TEST(CheckTargets, AllowsThoseThatDoNotCount) {
  const GptConfig config = small(0);
  const Tensor targets = integers({2, 80}, "t", 131);
  targets.values<std::int32_t>()[7] = -1;
  EXPECT_TRUE(check_targets(config, targets).ok());
  targets.values<std::int32_t>()[7] = -2;
  EXPECT_FALSE(check_targets(config, targets).ok());
  targets.values<std::int32_t>()[7] = 131;
  EXPECT_FALSE(check_targets(config, targets).ok());
  EXPECT_FALSE(check_targets(config, {}).ok());
}

}  // namespace
}  // namespace reef::nn
