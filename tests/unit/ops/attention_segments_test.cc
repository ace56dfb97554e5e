#include "ops/nn/attention_segments.h"

#include <gtest/gtest.h>

#include <utility>

#include "ops/nn/stage.h"
#include "ops/nn/tensor_rank.h"
#include "tests/unit/ops/agreement.h"
#include "tests/unit/ops/ring.h"

namespace reef::nn {
namespace {

using ops::Context;
using ops::Tape;
using ops::Tensor;
using ops::ThreadPool;
using ops::testing::difference_of;
using ops::testing::integers;
using ops::testing::same_bits;

constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kTokens = 72;
constexpr std::int64_t kVocabulary = 131;

std::vector<ModelConfig> families() {
  const GptConfig gpt{
      .vocab_size = kVocabulary, .n_positions = 80, .n_embd = 48, .n_layer = 2, .n_head = 3};
  const LlamaConfig llama{.vocab_size = kVocabulary,
                          .hidden_size = 48,
                          .intermediate_size = 112,
                          .num_hidden_layers = 2,
                          .num_attention_heads = 6,
                          .max_position_embeddings = 80};
  LlamaConfig grouped = llama;
  grouped.num_key_value_heads = 2;
  grouped.tie_word_embeddings = true;
  return {gpt, llama, grouped};
}

std::string describe(const ModelSpec& spec, std::int64_t ranks) {
  return std::string(family_of(spec.config)) + " " + std::string(ops::name_of(spec.activations)) +
         ", " + std::to_string(ranks) + " ranks";
}

Parameters initial_weights(const ModelSpec& spec) {
  ThreadPool context(1);
  Parameters weights;
  for (const Layer& layer : spec.layers) {
    for (const Parameter& p : layer.parameters) {
      weights[p.name] = ops::cast(context, initial_value(p, 5), p.dtype);
    }
  }
  return weights;
}

Sample sample_of(const ContextShare& share) { return {9, 4, 32, true, share}; }

struct Outcome {
  double loss = 0;
  Tensor logits;
  Parameters grads;
};

/// Loss of (B, T, V) logits of `share`, as its part of the mean over whole sequences.
LossResult loss_of(Context& context, const ContextShare& share, const Tensor& logits) {
  const Tensor targets = integers({kBatch, kTokens}, "targets", kVocabulary);
  return cross_entropy(context, logits, part_of(context, share, targets),
                       1.0f / static_cast<float>(kBatch * kTokens), true);
}

Outcome undivided(Context& context, const ModelSpec& spec, const Parameters& weights) {
  const Stage stage(spec, 0, spec.layers.size());
  std::unique_ptr<Tape> tape;
  Outcome outcome;
  outcome.logits = stage.forward(
      context, weights, integers({kBatch, kTokens}, "tokens", kVocabulary), sample_of({}), &tape);
  const LossResult loss = loss_of(context, {}, outcome.logits);
  outcome.loss = loss.loss_sum;
  stage.backward(context, weights, *tape, loss.grad_logits, outcome.grads);
  return outcome;
}

/// All ranks that share the sequences, layer by layer.
class Shared {
 public:
  Shared(Context& context, const ModelSpec& spec, const Parameters& weights, std::int64_t ranks)
      : context_(context),
        spec_(spec),
        weights_(weights),
        shares_(testing::shares_of(ranks)),
        layers_(spec.layers.size()) {
    for (auto& ranks_of_layer : layers_) ranks_of_layer = std::vector<OfLayer>(shares_.size());
  }

  Outcome run() {
    Outcome outcome;
    x_ = testing::shared_out(context_, integers({kBatch, kTokens}, "tokens", kVocabulary),
                             shares_.front().ranks);
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) {
      attends(i) ? forward_attention(i) : forward_other(i);
    }
    outcome.logits = testing::joined(context_, x_);
    for (std::size_t rank = 0; rank < shares_.size(); ++rank) {
      LossResult loss = loss_of(context_, shares_[rank], x_[rank]);
      outcome.loss += loss.loss_sum;
      x_[rank] = std::move(loss.grad_logits);
    }
    for (std::size_t i = spec_.layers.size(); i-- > 0;) {
      attends(i) ? backward_attention(i) : backward_other(i);
    }
    outcome.grads = std::move(grads_);
    return outcome;
  }
  /// One attention layer of whole sequences: its output, and the gradient of its input.
  std::pair<Tensor, Tensor> run_layer(std::size_t layer, const Tensor& x, const Tensor& grad) {
    x_ = testing::shared_out(context_, x, shares_.front().ranks);
    forward_attention(layer);
    const Tensor y = testing::joined(context_, x_);
    x_ = testing::shared_out(context_, grad, shares_.front().ranks);
    backward_attention(layer);
    return {y, testing::joined(context_, x_)};
  }

 private:
  /// What one rank keeps of a layer.
  struct OfLayer {
    std::unique_ptr<Tape> open, close;  ///< `open` alone, of other layers
    Tensor q, keys_values;
    ops::Attention attended;
  };

  bool attends(std::size_t layer) const {
    return spec_.layers[layer].kind == LayerKind::kAttention;
  }
  template <typename Member>
  std::vector<Member> by_rank(std::size_t layer, Member OfLayer::*member) const {
    std::vector<Member> result;
    for (const OfLayer& of : layers_[layer]) result.push_back(of.*member);
    return result;
  }

  void forward_other(std::size_t layer) {
    const Stage stage(spec_, layer, layer + 1);
    for (std::size_t rank = 0; rank < shares_.size(); ++rank) {
      x_[rank] = stage.forward(context_, weights_, x_[rank], sample_of(shares_[rank]),
                               &layers_[layer][rank].open);
    }
  }
  void backward_other(std::size_t layer) {
    const Stage stage(spec_, layer, layer + 1);
    for (std::size_t rank = 0; rank < shares_.size(); ++rank) {
      Parameters found;
      x_[rank] = stage.backward(context_, weights_, *layers_[layer][rank].open, x_[rank], found);
      add(found);
    }
  }

  void forward_attention(std::size_t layer) {
    const AttentionSegments segments(spec_, layer);
    for (std::size_t rank = 0; rank < shares_.size(); ++rank) {
      OfLayer& of = layers_[layer][rank];
      const Tensor qkv =
          segments.open(context_, weights_, x_[rank], sample_of(shares_[rank]), &of.open);
      const std::int64_t heads = query_heads();
      of.q = qkv.narrow(2, 0, heads);
      of.keys_values = ops::contiguous(context_, qkv.narrow(2, heads, qkv.shape()[2] - heads));
    }
    const std::vector<ops::Attention> attended = testing::ring_forward(
        context_, by_rank(layer, &OfLayer::q), by_rank(layer, &OfLayer::keys_values));
    for (std::size_t rank = 0; rank < shares_.size(); ++rank) {
      OfLayer& of = layers_[layer][rank];
      of.attended = attended[rank];
      x_[rank] = segments.close(context_, weights_, of.attended.out, x_[rank],
                                sample_of(shares_[rank]), &of.close);
    }
  }
  void backward_attention(std::size_t layer) {
    const AttentionSegments segments(spec_, layer);
    std::vector<Tensor> grad_out, past;
    for (std::size_t rank = 0; rank < shares_.size(); ++rank) {
      ops::LaterGradients later;
      AttentionSegments::CloseGrads grads =
          segments.close_backward(context_, weights_, *layers_[layer][rank].close, x_[rank], later);
      add(later.compute(context_));
      grad_out.push_back(std::move(grads.out));
      past.push_back(std::move(grads.x));
    }
    const std::vector<Tensor> grad_qkv = testing::ring_backward(
        context_, by_rank(layer, &OfLayer::q), by_rank(layer, &OfLayer::keys_values),
        by_rank(layer, &OfLayer::attended), grad_out);
    for (std::size_t rank = 0; rank < shares_.size(); ++rank) {
      ops::LaterGradients later;
      x_[rank] = segments.open_backward(context_, weights_, *layers_[layer][rank].open,
                                        grad_qkv[rank], past[rank], later);
      add(later.compute(context_));
    }
  }

  std::int64_t query_heads() const {
    const auto* gpt = std::get_if<GptConfig>(&spec_.config);
    const std::int64_t all =
        gpt != nullptr ? gpt->n_head : std::get<LlamaConfig>(spec_.config).num_attention_heads;
    return all / spec_.tensor.ranks;
  }

  /// Gradients are sums over ranks.
  void add(const Parameters& found) {
    for (const auto& [name, grad] : found) {
      Tensor& sum = grads_[name];
      sum = sum.defined() ? ops::add(context_, sum, grad) : grad;
    }
  }

  Context& context_;
  const ModelSpec& spec_;
  const Parameters& weights_;
  std::vector<ContextShare> shares_;
  std::vector<std::vector<OfLayer>> layers_;  ///< by layer and rank
  std::vector<Tensor> x_;                     ///< by rank: what the next layer gets
  Parameters grads_;
};

void expect_near(const Outcome& a, const Outcome& b, double tolerance) {
  EXPECT_NEAR(a.loss, b.loss, 0.01 * tolerance * b.loss);
  EXPECT_LE(difference_of(a.logits, b.logits), tolerance);
  ASSERT_EQ(a.grads.size(), b.grads.size());
  for (const auto& [name, grad] : b.grads) {
    EXPECT_LE(difference_of(a.grads.at(name), grad), tolerance) << name;
  }
}

TEST(AttentionSegments, OfAllRanksAreTheUndividedModel) {
  ThreadPool context(2);
  for (const ModelConfig& config : families()) {
    for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
      const ModelSpec spec = model_spec(config, precision);
      const Parameters weights = initial_weights(spec);
      const Outcome whole = undivided(context, spec, weights);
      for (const std::int64_t ranks : {2, 4}) {
        SCOPED_TRACE(describe(spec, ranks));
        expect_near(Shared(context, spec, weights, ranks).run(), whole,
                    precision == Precision::kF32 ? 5e-6 : 0.03);
      }
    }
  }
}

TEST(AttentionSegments, OfOneRankHaveTheSameBits) {
  ThreadPool context(2);
  for (const ModelConfig& config : families()) {
    for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
      const ModelSpec spec = model_spec(config, precision);
      SCOPED_TRACE(describe(spec, 1));
      const Parameters weights = initial_weights(spec);
      const Outcome whole = undivided(context, spec, weights);
      const Outcome one = Shared(context, spec, weights, 1).run();
      EXPECT_EQ(one.loss, whole.loss);
      EXPECT_TRUE(same_bits(one.logits, whole.logits));
      ASSERT_EQ(one.grads.size(), whole.grads.size());
      for (const auto& [name, grad] : whole.grads) {
        EXPECT_TRUE(same_bits(one.grads.at(name), grad)) << name;
      }
    }
  }
}

TEST(AttentionSegments, OfTensorParallelRanksSumToTheLayer) {
  ThreadPool context(2);
  GptConfig gpt = std::get<GptConfig>(families()[0]);
  gpt.n_head = 6;
  for (const ModelConfig& config : {ModelConfig(gpt), families()[2]}) {
    const ModelSpec spec = model_spec(config);
    SCOPED_TRACE(describe(spec, 2));
    const Tensor x = ops::testing::normal({kBatch, kTokens, 48}, "x");
    const Tensor grad = ops::testing::normal({kBatch, kTokens, 48}, "grad");
    std::unique_ptr<Tape> tape;
    const Stage layer(spec, 1, 2);
    const Parameters weights = initial_weights(spec);
    const Tensor y = layer.forward(context, weights, x, sample_of({}), &tape);
    Parameters grads;
    const Tensor grad_x = layer.backward(context, weights, *tape, grad, grads);
    std::pair<Tensor, Tensor> sum;
    for (const std::uint32_t rank : {0u, 1u}) {
      const ModelSpec part = spec_of_rank(spec, {rank, 2});
      const Parameters held = initial_weights(part);
      auto [summand, grad_summand] = Shared(context, part, held, 2).run_layer(1, x, grad);
      sum.first = rank == 0 ? summand : ops::add(context, sum.first, summand);
      sum.second = rank == 0 ? grad_summand : ops::add(context, sum.second, grad_summand);
    }
    EXPECT_LE(difference_of(sum.first, y), 2e-6);
    EXPECT_LE(difference_of(sum.second, grad_x), 2e-6);
  }
}

TEST(AttentionSegments, GiveThePositionTableTheSameGradientByAnyNumberOfRanks) {
  // Each position is on one rank: its sums are over the same rows. Without a block between they are
  // of the same bits, too.
  GptConfig config = std::get<GptConfig>(families()[0]);
  const ModelSpec spec = model_spec(config);
  const Parameters weights = initial_weights(spec);
  const Stage embedding(spec, 0, 1);
  ThreadPool context(1);
  const Tensor tokens = integers({kBatch, kTokens}, "tokens", kVocabulary);
  const Tensor grad = ops::testing::normal({kBatch, kTokens, config.n_embd}, "grad");
  std::vector<Tensor> hidden, sums;
  for (const std::int64_t ranks : {1, 2, 4}) {
    std::vector<Tensor> parts;
    Tensor sum;
    for (const ContextShare& share : testing::shares_of(ranks)) {
      std::unique_ptr<Tape> tape;
      parts.push_back(embedding.forward(context, weights, part_of(context, share, tokens),
                                        sample_of(share), &tape));
      Parameters grads;
      embedding.backward(context, weights, *tape, part_of(context, share, grad), grads);
      const Tensor& found = grads.at("wpe.weight");
      sum = sum.defined() ? ops::add(context, sum, found) : found;
    }
    hidden.push_back(testing::joined(context, parts));
    sums.push_back(sum);
    EXPECT_TRUE(same_bits(hidden.back(), hidden[0])) << ranks;
    EXPECT_TRUE(same_bits(sums.back(), sums[0])) << ranks;
  }
}

TEST(AttentionSegments, KeepWhatTheLayerKeepsBesideTheRing) {
  for (const ModelConfig& config : families()) {
    const ModelSpec spec = model_spec(config, Precision::kBF16);
    SCOPED_TRACE(describe(spec, 2));
    const Parameters weights = initial_weights(spec);
    ThreadPool context(1);
    const ContextShare share{2, 0};
    const AttentionSegments segments(spec, 1);
    const Tensor x =
        ops::cast(context, ops::testing::normal({kBatch, kTokens / 2, 48}, "x"), spec.activations);
    std::unique_ptr<Tape> open, close;
    const Tensor qkv = segments.open(context, weights, x, sample_of(share), &open);
    const std::int64_t heads = config.index() == 0 ? 3 : 6;
    RingAttention ring({1, 0}, qkv.narrow(2, 0, heads));
    ring.meet(context, qkv.narrow(2, heads, qkv.shape()[2] - heads));
    const ops::Attention attended = ring.finish(context);
    segments.close(context, weights, attended.out, x, sample_of(share), &close);
    // The ring's own: queries, keys and values, and a log-sum-exp; out is on close's tape.
    const std::size_t kept = open->stash_bytes() + close->stash_bytes() + qkv.size_bytes() +
                             attended.log_sum_exp.size_bytes();
    EXPECT_EQ(static_cast<double>(kept),
              spec.layers[1].stash_bytes_per_token * kBatch * kTokens / 2);
  }
}

}  // namespace
}  // namespace reef::nn
