#include "ops/nn/shared_loss.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "ops/functional/functional.h"
#include "ops/nn/tensor_rank.h"

namespace reef::nn {
namespace {

using ops::Context;
using ops::DType;
using ops::Shape;
using ops::Tensor;

constexpr std::size_t kColumnAxis = 2;

/// exp(x), x fresh.
Tensor exp(Context& context, const Tensor& x) { return ops::unary(context, ops::Op::kExp, x); }

/// Of the last axis, which stays with extent 1.
Tensor log_sum_exp(Context& context, const Tensor& x) {
  const Tensor greatest = ops::max(context, x, 1u << kColumnAxis);
  const Tensor sum =
      ops::sum(context, exp(context, ops::sub(context, x, greatest)), 1u << kColumnAxis);
  return ops::add(context, ops::unary(context, ops::Op::kLog, sum), greatest);
}

/// Where the rank has each target; of others a place that is there.
struct Places {
  Tensor column;           ///< i32 (B, T, 1), on the host
  std::vector<bool> ours;  ///< by token
};

Places places_of(const Tensor& targets, Part::Range columns) {
  const Shape& shape = targets.shape();
  Places places{Tensor::empty(ops::Pool::host(), DType::kI32, {shape[0], shape[1], 1}), {}};
  const auto column = places.column.values<std::int32_t>();
  const auto target = targets.values<std::int32_t>();
  for (std::size_t i = 0; i < target.size(); ++i) {
    const std::int64_t place = target[i] - columns.first;
    places.ours.push_back(target[i] >= 0 && place >= 0 && place < columns.count);
    column[i] = places.ours[i] ? static_cast<std::int32_t>(place) : 0;
  }
  return places;
}

/// Over the columns of all ranks.
double log_sum_exp(std::span<const float> statistics, std::size_t tokens, std::uint32_t ranks,
                   std::size_t token) {
  double greatest = double{statistics[token]};
  for (std::uint32_t r = 1; r < ranks; ++r)
    greatest = std::max(greatest, double{statistics[2 * r * tokens + token]});
  double sum = 0;
  for (std::uint32_t r = 0; r < ranks; ++r)
    sum += std::exp(double{statistics[2 * r * tokens + token]} - greatest);
  return greatest + std::log(sum);
}

}  // namespace

Tensor loss_statistics(Context& context, const ModelSpec& spec, const Tensor& logits,
                       const Tensor& targets) {
  const Places places = places_of(on_host(context, targets), columns_of(spec));
  const Tensor sums = ops::to_host(context, log_sum_exp(context, logits));
  const Tensor found = ops::to_host(
      context, ops::gather(context, logits, kColumnAxis, ops::to_device(context, places.column)));
  const std::size_t tokens = places.ours.size();
  Tensor statistics =
      Tensor::zeros(ops::Pool::host(), DType::kF32,
                    {2 * std::int64_t{spec.tensor.ranks}, static_cast<std::int64_t>(tokens)});
  const auto own = statistics.values<float>().subspan(2 * spec.tensor.rank * tokens);
  std::ranges::copy(sums.values<float>(), own.begin());
  for (std::size_t i = 0; i < tokens; ++i) {
    if (places.ours[i]) own[tokens + i] = found.values<float>()[i];
  }
  return statistics;
}

LossResult shared_cross_entropy(Context& context, const ModelSpec& spec, const Tensor& logits,
                                const Tensor& given_targets, const Tensor& statistics,
                                float grad_scale, bool want_grad) {
  const Tensor targets = on_host(context, given_targets);
  const Tensor all_seen = on_host(context, statistics);
  const Shape& shape = targets.shape();
  const auto tokens = static_cast<std::size_t>(targets.elements());
  const auto target = targets.values<std::int32_t>();
  Tensor sums = Tensor::empty(ops::Pool::host(), DType::kF32, {shape[0], shape[1], 1});
  Tensor scales = Tensor::zeros(ops::Pool::host(), DType::kF32, {shape[0], shape[1], 1});
  const std::span<const float> seen = all_seen.values<float>();
  LossResult result;
  for (std::size_t i = 0; i < tokens; ++i) {
    const double sum = log_sum_exp(seen, tokens, spec.tensor.ranks, i);
    sums.values<float>()[i] = static_cast<float>(sum);
    if (target[i] < 0) continue;
    scales.values<float>()[i] = grad_scale;
    double logit = 0;
    for (std::uint32_t r = 0; r < spec.tensor.ranks; ++r)
      logit += double{seen[(2 * r + 1) * tokens + i]};
    result.loss_sum += sum - logit;
    ++result.tokens;
  }
  if (!want_grad) return result;

  // scale (softmax - 1 at the target)
  const Places places = places_of(targets, columns_of(spec));
  const Tensor softmax = exp(context, ops::sub(context, logits, ops::to_device(context, sums)));
  result.grad_logits = ops::mul(context, softmax, ops::to_device(context, scales));
  Tensor taken = Tensor::zeros(ops::Pool::host(), DType::kF32, {shape[0], shape[1], 1});
  for (std::size_t i = 0; i < tokens; ++i) {
    if (places.ours[i]) taken.values<float>()[i] = -grad_scale;
  }
  ops::add_into(
      context, result.grad_logits,
      ops::scatter_add(context, ops::to_device(context, places.column),
                       ops::to_device(context, taken), kColumnAxis, logits.shape()[kColumnAxis]));
  return result;
}

}  // namespace reef::nn
