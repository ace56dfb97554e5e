#include "ops/nn/decoder.h"

#include "ops/functional/functional.h"
#include "runtime/base/check.h"

namespace reef::nn {

using ops::Context;
using ops::Tensor;

namespace {

constexpr std::size_t kTimes = 1;  ///< axis of hidden tensors, queries, keys and values
constexpr std::size_t kHeads = 2;

}  // namespace

Decoder::Decoder(const ModelSpec& spec, const Parameters& weights, std::int64_t rows,
                 std::int64_t longest)
    : weights_(weights), heads_(heads_of(spec)), rows_(rows), longest_(longest) {
  CHECK(rows > 0 && longest > 0 && longest <= longest_context_of(spec.config))
      << rows << " rows of " << longest;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    if (spec.layers[i].kind == LayerKind::kAttention) {
      parts_.push_back(Attention{AttentionSegments(spec, i), {}});
    } else {
      parts_.push_back(Stage(spec, i, i + 1));
    }
  }
}

Tensor Decoder::append(Context& context, const Tensor& tokens) {
  CHECK(tokens.shape().rank() == 2 && tokens.shape()[0] == rows_) << tokens.shape().text();
  const std::int64_t count = tokens.shape()[kTimes];
  CHECK(count > 0 && count <= room()) << count << " tokens, room for " << room();
  Tensor x = tokens;
  for (Part& part : parts_) {
    // Of the last layer, the head, only what follows the last token is asked for.
    if (&part == &parts_.back()) x = ops::contiguous(context, x.narrow(kTimes, count - 1, 1));
    x = std::visit([&](auto& layer) { return run(context, layer, x); }, part);
  }
  length_ += count;
  return x.reshape({rows_, x.shape().back()});
}

Tensor Decoder::run(Context& context, const Stage& stage, const Tensor& x) const {
  return stage.forward(context, weights_, x, {.training = false, .first_position = length_},
                       nullptr);
}

Tensor Decoder::run(Context& context, Attention& attention, const Tensor& x) const {
  const Sample sample{.training = false, .first_position = length_};
  const Tensor qkv = attention.segments.open(context, weights_, x, sample, nullptr);
  const std::int64_t count = x.shape()[kTimes];
  const std::int64_t keys = heads_.keys;
  Tensor& kept = attention.kept;
  if (!kept.defined()) {
    kept =
        Tensor::empty(context.pool(), qkv.dtype(), {rows_, longest_, 2 * keys, qkv.shape().back()});
  }
  ops::copy_into(context, qkv.narrow(kHeads, heads_.queries, 2 * keys),
                 kept.narrow(kTimes, length_, count));
  const Tensor seen = kept.narrow(kTimes, 0, length_ + count);
  // Causal: the last query sees all keys, the one before it all but one.
  const ops::Attention attended =
      ops::attention(context, qkv.narrow(kHeads, 0, heads_.queries), seen.narrow(kHeads, 0, keys),
                     seen.narrow(kHeads, keys, keys), {});
  return attention.segments.close(context, weights_, attended.out, x, sample, nullptr);
}

}  // namespace reef::nn
