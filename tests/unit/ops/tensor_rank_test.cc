#include "ops/nn/tensor_rank.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "ops/nn/shared_loss.h"
#include "ops/nn/stage.h"
#include "tests/unit/ops/support.h"

namespace reef::nn {
namespace {

using ops::DType;
using ops::Tape;
using ops::Tensor;
using ops::ThreadPool;
using ops::testing::integers;

constexpr std::int64_t kBatch = 2, kTokens = 24;

GptConfig gpt() {
  return {.vocab_size = 131, .n_positions = 32, .n_embd = 48, .n_layer = 2, .n_head = 6};
}

/// Twelve heads of queries share four of keys and values, so that four ranks have one each.
LlamaConfig llama(bool tied) {
  return {.vocab_size = 131,
          .hidden_size = 48,
          .intermediate_size = 100,
          .num_hidden_layers = 2,
          .num_attention_heads = 12,
          .num_key_value_heads = 4,
          .max_position_embeddings = 32,
          .tie_word_embeddings = tied};
}

/// What a rank holds of a published f32 tensor.
Tensor part_of(const Parameter& parameter, const Tensor& whole) {
  Tensor part = Tensor::empty(ops::Pool::host(), DType::kF32, ops::Shape(parameter.shape));
  for_each_run(parameter, 0, parameter.elements(),
               [&](std::int64_t place, std::int64_t first, std::int64_t count) {
                 for (std::int64_t i = 0; i < count; ++i) {
                   part.values<float>()[static_cast<std::size_t>(place + i)] =
                       whole.values<float>()[static_cast<std::size_t>(first + i)];
                 }
               });
  return part;
}

/// A bias that is zero adds nothing wherever it is added, so vectors are random here.
Tensor published(const Parameter& whole) {
  Parameter parameter = whole;
  if (parameter.shape.size() == 1) parameter.init = Init::normal(0.3f);
  return initial_value(parameter, 7);
}

struct Outcome {
  double loss = 0;
  std::int64_t tokens = 0;
  Parameters grads;  ///< of the published tensors
};

/// The last three tokens of each sequence count for nothing.
Tensor some_targets() {
  Tensor targets = integers({kBatch, kTokens}, "targets", 131);
  for (std::int64_t b = 0; b < kBatch; ++b) {
    for (std::int64_t t = kTokens - 3; t < kTokens; ++t)
      targets.values<std::int32_t>()[static_cast<std::size_t>(b * kTokens + t)] = -1;
  }
  return targets;
}

/// One micro-batch through all layers of `ranks` ranks, whose summands are added up here.
class Ranks {
 public:
  Ranks(const ModelSpec& whole, std::uint32_t ranks) : whole_(whole), count_(ranks) {
    for (std::uint32_t r = 0; r < ranks; ++r) {
      specs_.push_back(spec_of_rank(whole, {r, ranks}));
      Parameters& weights = weights_.emplace_back();
      for (std::size_t i = 0; i < whole.layers.size(); ++i) {
        for (const Parameter& parameter : specs_[r].layers[i].parameters) {
          for (const Parameter& from : whole.layers[i].parameters) {
            if (from.name == parameter.name) {
              weights[from.name] =
                  ops::cast(context_, part_of(parameter, published(from)), parameter.dtype);
            }
          }
        }
      }
    }
  }

  Outcome run() {
    const Tensor targets = some_targets();
    forward(integers({kBatch, kTokens}, "tokens", 131));
    Outcome outcome = loss(targets);
    backward(outcome);
    return outcome;
  }

  const ModelSpec& spec(std::uint32_t rank) const { return specs_[rank]; }
  /// Of all layers, by rank.
  std::uint64_t stash_bytes(std::uint32_t rank) const { return stash_bytes_[rank]; }

 private:
  Tensor sum(const std::vector<Tensor>& parts) {
    Tensor total = parts[0];
    for (std::size_t r = 1; r < parts.size(); ++r) total = ops::add(context_, total, parts[r]);
    return total;
  }

  void forward(const Tensor& tokens) {
    Tensor x = tokens;
    stash_bytes_.assign(count_, 0);
    for (std::size_t i = 0; i < whole_.layers.size(); ++i) {
      outputs_.assign(count_, {});
      auto& tapes = tapes_.emplace_back(count_);
      for (std::uint32_t r = 0; r < count_; ++r) {
        const Stage stage(specs_[r], i, i + 1);
        outputs_[r] = stage.forward(context_, weights_[r], x, {}, &tapes[r]);
        stash_bytes_[r] += tapes[r]->stash_bytes();
      }
      if (i + 1 < whole_.layers.size()) x = sum(outputs_);
    }
  }

  Outcome loss(const Tensor& targets) {
    constexpr float kScale = 1.0f / (kBatch * kTokens);
    Outcome outcome;
    if (count_ == 1) {
      LossResult result = cross_entropy(context_, outputs_[0], targets, kScale, true);
      outputs_[0] = std::move(result.grad_logits);
      outcome.loss = result.loss_sum;
      outcome.tokens = result.tokens;
      return outcome;
    }
    std::vector<Tensor> statistics;
    for (std::uint32_t r = 0; r < count_; ++r)
      statistics.push_back(loss_statistics(context_, specs_[r], outputs_[r], targets));
    const Tensor all = sum(statistics);
    for (std::uint32_t r = 0; r < count_; ++r) {
      LossResult result =
          shared_cross_entropy(context_, specs_[r], outputs_[r], targets, all, kScale, true);
      outputs_[r] = std::move(result.grad_logits);
      EXPECT_TRUE(r == 0 || result.loss_sum == outcome.loss) << "all ranks have one loss";
      outcome.loss = result.loss_sum;
      outcome.tokens = result.tokens;
    }
    return outcome;
  }

  void backward(Outcome& outcome) {
    std::vector<Tensor> grads = outputs_;
    for (std::size_t i = whole_.layers.size(); i-- > 0;) {
      std::vector<Tensor> inputs;
      for (std::uint32_t r = 0; r < count_; ++r) {
        const Stage stage(specs_[r], i, i + 1);
        Parameters found;
        inputs.push_back(stage.backward(context_, weights_[r], *tapes_[i][r], grads[r], found));
        for (const auto& [name, grad] : found) gather(r, name, grad, outcome.grads);
      }
      if (i > 0) grads.assign(count_, sum(inputs));
    }
  }

  /// Adds a rank's gradient to that of the published tensor.
  void gather(std::uint32_t rank, const std::string& name, const Tensor& grad, Parameters& to) {
    for (const Layer& layer : specs_[rank].layers) {
      for (const Parameter& parameter : layer.parameters) {
        if (parameter.name != parameter_of(name)) continue;
        Tensor& whole = to[name];
        if (!whole.defined()) {
          whole = Tensor::zeros(ops::Pool::host(), DType::kF32, ops::Shape(whole_shape(parameter)));
        }
        for_each_run(parameter, 0, parameter.elements(),
                     [&](std::int64_t place, std::int64_t first, std::int64_t count) {
                       for (std::int64_t k = 0; k < count; ++k) {
                         whole.values<float>()[static_cast<std::size_t>(first + k)] +=
                             grad.values<float>()[static_cast<std::size_t>(place + k)];
                       }
                     });
      }
    }
  }

  ThreadPool context_{2};
  const ModelSpec& whole_;
  std::uint32_t count_;
  std::vector<ModelSpec> specs_;
  std::vector<Parameters> weights_;
  std::vector<std::vector<std::unique_ptr<Tape>>> tapes_;  ///< by layer, then rank
  std::vector<Tensor> outputs_;                            ///< of the layer that ran last
  std::vector<std::uint64_t> stash_bytes_;
};

/// The largest difference, against the largest value.
double relative(const Tensor& a, const Tensor& b) {
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < a.values<float>().size(); ++i) {
    difference = std::max(difference,
                          std::fabs(double{a.values<float>()[i]} - double{b.values<float>()[i]}));
    largest = std::max(largest, std::fabs(double{b.values<float>()[i]}));
  }
  return difference / largest;
}

std::vector<ModelSpec> models(Precision precision) {
  return {model_spec(gpt(), precision, Recompute::kNone, kTokens),
          model_spec(llama(false), precision, Recompute::kNone, kTokens),
          model_spec(llama(true), precision, Recompute::kNone, kTokens)};
}

TEST(TensorRank, SummandsAddUpToTheWholeModel) {
  for (const auto& [precision, loss_tolerance, tolerance] :
       {std::tuple{Precision::kF32, 1e-6, 2e-5}, std::tuple{Precision::kBF16, 2e-3, 4e-2}}) {
    for (const ModelSpec& whole : models(precision)) {
      const Outcome expected = Ranks(whole, 1).run();
      EXPECT_EQ(expected.tokens, kBatch * (kTokens - 3));
      for (const std::uint32_t ranks : {2u, 3u, 4u}) {
        SCOPED_TRACE(std::string(family_of(whole.config)) + " " + std::string(name_of(precision)) +
                     ", " + std::to_string(ranks) + " ranks");
        const Outcome outcome = Ranks(whole, ranks).run();
        EXPECT_EQ(outcome.tokens, expected.tokens);
        EXPECT_NEAR(outcome.loss / expected.loss, 1, loss_tolerance);
        ASSERT_EQ(outcome.grads.size(), expected.grads.size());
        for (const auto& [name, grad] : expected.grads)
          EXPECT_LT(relative(outcome.grads.at(name), grad), tolerance) << name;
      }
    }
  }
}

TEST(TensorRank, HoldsEveryElementOnceButCopies) {
  for (const ModelSpec& whole : models(Precision::kF32)) {
    for (const std::uint32_t ranks : {2u, 3u, 4u}) {
      for (std::size_t i = 0; i < whole.layers.size(); ++i) {
        for (const Parameter& parameter : whole.layers[i].parameters) {
          std::vector<int> seen(static_cast<std::size_t>(parameter.elements()), 0);
          for (std::uint32_t r = 0; r < ranks; ++r) {
            const ModelSpec spec = spec_of_rank(whole, {r, ranks});
            for (const Parameter& held : spec.layers[i].parameters) {
              if (held.name != parameter.name || !speaks_for(held, {r, ranks})) continue;
              EXPECT_EQ(whole_shape(held), parameter.shape);
              for_each_run(held, 0, held.elements(),
                           [&](std::int64_t, std::int64_t first, std::int64_t count) {
                             for (std::int64_t k = 0; k < count; ++k)
                               ++seen[static_cast<std::size_t>(first + k)];
                           });
            }
          }
          EXPECT_TRUE(std::ranges::all_of(seen, [](int n) { return n == 1; })) << parameter.name;
        }
      }
    }
  }
}

TEST(TensorRank, RunsOfASliceAreThoseOfAllThatFallIntoIt) {
  const ModelSpec spec = spec_of_rank(model_spec(gpt()), {1, 4});
  const Parameter& joined = spec.layers[1].parameters[2];
  ASSERT_EQ(joined.name, "h.0.attn.c_attn.weight");
  std::vector<std::int64_t> all;
  const auto collect = [&](std::vector<std::int64_t>& to, std::int64_t first, std::int64_t count) {
    for_each_run(joined, first, count, [&](std::int64_t place, std::int64_t from, std::int64_t n) {
      EXPECT_EQ(static_cast<std::int64_t>(to.size()), first + place);
      for (std::int64_t k = 0; k < n; ++k) to.push_back(from + k);
    });
  };
  collect(all, 0, joined.elements());
  EXPECT_EQ(static_cast<std::int64_t>(all.size()), joined.elements());
  std::vector<std::int64_t> pieces;
  for (std::int64_t first = 0; first < joined.elements(); first += 37)
    collect(pieces, first, std::min<std::int64_t>(37, joined.elements() - first));
  EXPECT_EQ(pieces, all);
}

TEST(TensorRank, StartsWithItsPartOfThePublishedTensor) {
  const ModelSpec whole = model_spec(gpt());
  const ModelSpec spec = spec_of_rank(whole, {2, 3});
  for (std::size_t k = 0; k < spec.layers[1].parameters.size(); ++k) {
    const Parameter& held = spec.layers[1].parameters[k];
    const auto from = std::ranges::find(whole.layers[1].parameters, held.name, &Parameter::name);
    ASSERT_NE(from, whole.layers[1].parameters.end());
    EXPECT_TRUE(
        ops::testing::same_bits(initial_value(held, 5), part_of(held, initial_value(*from, 5))))
        << held.name;
  }
}

TEST(TensorRank, KeepsWhatTheSpecSays) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    for (const ModelSpec& whole : models(precision)) {
      for (const std::uint32_t ranks : {2u, 4u}) {
        Ranks all(whole, ranks);
        all.run();
        for (std::uint32_t r = 0; r < ranks; ++r) {
          double expected = 0;
          for (const Layer& layer : all.spec(r).layers) expected += layer.stash_bytes_per_token;
          // Positions are counted by token, and kept once for all sequences.
          const double kept = static_cast<double>(all.stash_bytes(r)) / (kBatch * kTokens);
          EXPECT_LE(kept, expected + 1e-6) << family_of(whole.config) << ", rank " << r;
          EXPECT_GE(kept, expected - 4 - 1e-6) << family_of(whole.config) << ", rank " << r;
        }
      }
    }
  }
}

TEST(TensorRank, SaysWhatCannotBeShared) {
  EXPECT_EQ(problem_of(gpt(), 6), "");
  EXPECT_NE(problem_of(gpt(), 7).find("7 ranks cannot share 6 heads"), std::string::npos);
  EXPECT_NE(problem_of(llama(false), 5).find("4 heads"), std::string::npos);
  GptConfig dropping = gpt();
  dropping.attn_pdrop = 0.1f;
  EXPECT_NE(problem_of(dropping, 2).find("dropout"), std::string::npos);
  EXPECT_EQ(problem_of(dropping, 1), "");
}

}  // namespace
}  // namespace reef::nn
