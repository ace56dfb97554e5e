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
    : spec_(spec),
      weights_(weights),
      heads_(heads_of(spec)),
      rows_(rows),
      longest_(longest),
      kept_(spec.layers.size()) {
  CHECK(rows > 0 && longest > 0 && longest <= longest_context_of(spec.config))
      << rows << " rows of " << longest;
}

Tensor Decoder::append(Context& context, const Tensor& tokens) {
  CHECK(tokens.shape().rank() == 2 && tokens.shape()[0] == rows_) << tokens.shape().text();
  const std::int64_t count = tokens.shape()[kTimes];
  CHECK(count > 0 && count <= room()) << count << " tokens, room for " << room();
  Tensor x = tokens;
  for (std::size_t i = 0; i < spec_.layers.size(); ++i) {
    const LayerKind kind = spec_.layers[i].kind;
    // Only what follows the last token is asked for.
    if (kind == LayerKind::kHead) {
      x = ops::contiguous(context, x.narrow(kTimes, count - 1, 1));
    }
    x = kind == LayerKind::kAttention ? attend(context, i, x) : run(context, i, x);
  }
  length_ += count;
  return x.reshape({rows_, x.shape().back()});
}

Tensor Decoder::run(Context& context, std::size_t layer, const Tensor& x) const {
  return Stage(spec_, layer, layer + 1)
      .forward(context, weights_, x, {.training = false, .first_position = length_}, nullptr);
}

Tensor Decoder::attend(Context& context, std::size_t layer, const Tensor& x) {
  const AttentionSegments segments(spec_, layer);
  const Sample sample{.training = false, .first_position = length_};
  const Tensor qkv = segments.open(context, weights_, x, sample, nullptr);
  const std::int64_t count = x.shape()[kTimes];
  const std::int64_t keys = heads_.keys;
  Tensor& kept = kept_[layer];
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
  return segments.close(context, weights_, attended.out, x, sample, nullptr);
}

}  // namespace reef::nn
