#include "ops/nn/decoder.h"

#include <gtest/gtest.h>

#include "tests/unit/ops/models.h"

namespace reef::nn {
namespace {

using ops::Tensor;
using ops::ThreadPool;
using ops::testing::difference;
using ops::testing::integers;
using ops::testing::same_bits;

constexpr std::int64_t kRows = 3;

Tensor columns(ops::Context& context, const Tensor& tokens, std::int64_t first,
               std::int64_t count) {
  return ops::contiguous(context, tokens.narrow(1, first, count));
}

/// Logits (rows, V) of what follows the first `length` tokens, by a pass over all of them.
Tensor recomputed(ops::Context& context, const ModelSpec& spec, const Parameters& weights,
                  const Tensor& tokens, std::int64_t length) {
  const Stage stage(spec, 0, spec.layers.size());
  const Tensor logits = stage.forward(context, weights, columns(context, tokens, 0, length),
                                      {.training = false}, nullptr);
  return columns(context, logits, length - 1, 1).reshape({tokens.shape()[0], kSmallVocabulary});
}

void expect_what_recomputing_gives(Precision precision, double tolerance) {
  ThreadPool context(2);
  const Tensor tokens = integers({kRows, kSmallContext}, "tokens", kSmallVocabulary);
  for (const ModelSpec& spec : small_models(precision)) {
    const Parameters weights = random_weights(spec);
    Decoder decoder(spec, weights, kRows, kSmallContext);
    for (const std::int64_t count : {7, 1, 1, 5, 1, 16, 1, 8}) {
      const Tensor logits =
          decoder.append(context, columns(context, tokens, decoder.length(), count));
      EXPECT_LE(difference(logits, recomputed(context, spec, weights, tokens, decoder.length())),
                tolerance)
          << family_of(spec.config) << ", " << decoder.length() << " tokens";
    }
    EXPECT_EQ(decoder.room(), 0);
  }
}

TEST(Decoder, GivesWhatRecomputingGives) { expect_what_recomputing_gives(Precision::kF32, 2e-5); }

TEST(Decoder, GivesWhatRecomputingGivesInBf16) {
  expect_what_recomputing_gives(Precision::kBF16, 3e-2);
}

TEST(Decoder, ForgetsWhatItIsToldTo) {
  ThreadPool context(1);
  const Tensor tokens = integers({1, kSmallContext}, "tokens", kSmallVocabulary);
  for (const ModelSpec& spec : small_models(Precision::kF32)) {
    const Parameters weights = random_weights(spec);
    Decoder fresh(spec, weights, 1, 12);
    const Tensor expected = fresh.append(context, columns(context, tokens, 20, 12));
    Decoder used(spec, weights, 1, 12);
    used.append(context, columns(context, tokens, 0, 9));
    used.clear();
    EXPECT_EQ(used.room(), 12);
    EXPECT_TRUE(same_bits(used.append(context, columns(context, tokens, 20, 12)), expected));
  }
}

TEST(Decoder, KeepsRowsApart) {
  ThreadPool context(1);
  const Tensor tokens = integers({kRows, kSmallContext}, "tokens", kSmallVocabulary);
  for (const ModelSpec& spec : small_models(Precision::kF32)) {
    const Parameters weights = random_weights(spec);
    Decoder all(spec, weights, kRows, kSmallContext);
    all.append(context, columns(context, tokens, 0, 11));
    const Tensor logits = all.append(context, columns(context, tokens, 11, 1));
    for (std::int64_t row = 0; row < kRows; ++row) {
      const Tensor own = ops::contiguous(context, tokens.narrow(0, row, 1));
      Decoder one(spec, weights, 1, kSmallContext);
      one.append(context, columns(context, own, 0, 11));
      EXPECT_LE(difference(one.append(context, columns(context, own, 11, 1)),
                           ops::contiguous(context, logits.narrow(0, row, 1))),
                2e-5);
    }
  }
}

}  // namespace
}  // namespace reef::nn
