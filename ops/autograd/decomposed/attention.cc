#include "ops/autograd/decomposed/attention.h"

#include <cmath>

#include "ops/autograd/functions.h"
#include "ops/functional/functional.h"

namespace reef::ops::decomposed {

namespace {

/// Far below any score, yet finite: differences of infinities would be NaN.
constexpr double kUnseen = -1e30;

/// Keys that a sample has, by the options' mask.
bool is_there(const Tensor& mask, std::int64_t sample, std::int64_t key, std::int64_t keys) {
  if (!mask.defined()) return true;
  if (mask.dtype() == DType::kI32) return key < mask.data<std::int32_t>()[sample];
  return mask.data<bool>()[sample * keys + key];
}

/// Which key each query sees: bool (B, 1, T, S), on the context's device.
Tensor visible(Context& context, const AttentionOptions& options, const Shape& q,
               std::int64_t keys) {
  Tensor mask = options.mask;
  if (mask.defined()) mask = contiguous(context, mask);
  if (mask.defined() && !is_host(mask.device())) mask = to_host(context, mask);
  const std::int64_t queries = q[1];
  const Tensor seen = Tensor::empty(Pool::host(), DType::kBool, {q[0], 1, queries, keys});
  bool* at = seen.data<bool>();
  for (std::int64_t sample = 0; sample < q[0]; ++sample) {
    for (std::int64_t query = 0; query < queries; ++query) {
      const std::int64_t last = options.causal ? query + keys - queries : keys;
      for (std::int64_t key = 0; key < keys; ++key) {
        *at++ = key <= last && is_there(mask, sample, key, keys);
      }
    }
  }
  return to_device(context, seen);
}

/// (B, S, G, D) -> (B, H, S, D), each group serving H / G heads.
Variable by_head(Context& context, Tape& tape, const Variable& x, std::int64_t heads) {
  const Variable swapped = transpose(context, tape, x, 1, 2);
  const Shape& shape = swapped.value.shape();
  if (shape[1] == heads) return swapped;
  const Variable grouped = reshape(context, tape, swapped, shape.inserted(2, 1));
  const Variable repeated = expand(context, tape, grouped, shape.inserted(2, heads / shape[1]));
  return reshape(context, tape, repeated, shape.with(1, heads));
}

/// Softmax over the keys that are seen; zeros where none is.
Variable weights_of(Context& context, Tape& tape, const Variable& scores, const Tensor& seen) {
  constexpr Axes kKeys = 1u << 3;
  const DType dtype = scores.value.dtype();
  const Variable unseen = constant(fill(context, dtype, {}, kUnseen));
  const Variable zero = constant(zeros(context, dtype, {}));
  const Variable kept = where(context, tape, seen, scores, unseen);
  const Variable greatest = constant(max(context, kept.value, kKeys));
  const Variable powers = exp(context, tape, sub(context, tape, kept, greatest));
  const Variable counted = where(context, tape, seen, powers, zero);
  const Variable total = sum(context, tape, counted, kKeys);
  const Tensor empty = binary(context, Op::kEqual, total.value, zero.value);
  const Variable one = constant(fill(context, dtype, {}, 1));
  return div(context, tape, counted, where(context, tape, empty, one, total));
}

}  // namespace

Variable attention(Context& context, Tape& tape, const Variable& q, const Variable& k,
                   const Variable& v, const AttentionOptions& options) {
  const Shape& shape = q.value.shape();
  const double scale = options.scale != 0 ? static_cast<double>(options.scale)
                                          : 1 / std::sqrt(static_cast<double>(shape[3]));
  const Variable queries = by_head(context, tape, q, shape[2]);
  const Variable keys = by_head(context, tape, k, shape[2]);
  const Variable values = by_head(context, tape, v, shape[2]);
  const Variable products = batch_matmul(context, tape, queries, keys, Product::kNT);
  const Variable scores = affine(context, tape, products, scale);
  const Tensor seen = visible(context, options, shape, k.value.shape()[1]);
  const Variable weights =
      dropout(context, tape, weights_of(context, tape, scores, seen), options.draw);
  const Variable mixed = batch_matmul(context, tape, weights, values);
  return contiguous(context, tape, transpose(context, tape, mixed, 1, 2));
}

Variable packed_attention(Context& context, Tape& tape, const Variable& qkv, std::int64_t heads,
                          const AttentionOptions& options) {
  const Shape& shape = qkv.value.shape();
  const std::int64_t width = shape[2] / 3;
  const Shape split_shape = shape.with_back(heads).inserted(3, width / heads);
  const std::vector<Variable> parts = split(context, tape, qkv, 2, 3);
  const auto heads_of = [&](const Variable& part) {
    return reshape(context, tape, part, split_shape);
  };
  const Variable mixed = decomposed::attention(context, tape, heads_of(parts[0]),
                                               heads_of(parts[1]), heads_of(parts[2]), options);
  return reshape(context, tape, mixed, shape.with_back(width));
}

}  // namespace reef::ops::decomposed
