#include "ops/nn/ring_attention.h"

#include <array>
#include <utility>

#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"
#include "runtime/base/check.h"

namespace reef::nn {

using ops::Attention;
using ops::AttentionGrad;
using ops::AttentionOptions;
using ops::Context;
using ops::Op;
using ops::Run;
using ops::sums_of;
using ops::Tensor;

namespace {

constexpr std::size_t kTimes = 1;  ///< axis of q, keys and values
constexpr std::size_t kHeads = 2;

/// Which of a rank's queries see which keys of the rank that it meets.
struct Meeting {
  Run queries, keys;
  bool causal;
};

Meeting meeting_in(const ContextShare& share, std::int64_t step, std::int64_t length) {
  CHECK_LT(step, share.ranks) << "meetings";
  const Run all{0, length};
  if (step == 0) return {all, all, true};
  CHECK_EQ(length % 2, 0);
  const Run early{0, length / 2};
  const Run late{length / 2, length / 2};
  if (share.met_in(step) < share.rank) return {all, early, false};
  return {late, all, false};
}

Tensor at(const Tensor& x, const Run& run) { return x.narrow(kTimes, run.first, run.count); }

/// The two halves of keys and values side by side.
struct KeysValues {
  Tensor keys, values;
  explicit KeysValues(const Tensor& both)
      : keys(both.narrow(kHeads, 0, both.shape()[kHeads] / 2)),
        values(both.narrow(kHeads, both.shape()[kHeads] / 2, both.shape()[kHeads] / 2)) {}
};

AttentionOptions options_of(const Meeting& meeting) {
  AttentionOptions options;
  options.causal = meeting.causal;
  return options;
}

/// log(e^a + e^b), which no difference of the two makes overflow.
Tensor log_add_exp(Context& context, const Tensor& a, const Tensor& b) {
  const Tensor most = ops::binary(context, Op::kMaximum, a, b);
  const auto power = [&](const Tensor& x) {
    return ops::unary(context, Op::kExp, ops::sub(context, x, most));
  };
  const Tensor sum = ops::add(context, power(a), power(b));
  return ops::add(context, most, ops::unary(context, Op::kLog, sum));
}

/// (B, H, T) as factors of (B, T, H, D).
Tensor by_time(const Tensor& x) { return x.transpose(1, 2).unsqueeze(3); }

}  // namespace

Tensor part_of(Context& context, const ContextShare& share, const Tensor& whole) {
  return ops::contiguous(context,
                         ops::take_runs(context, whole, kTimes, share.runs(whole.shape()[kTimes])));
}

RingAttention::RingAttention(const ContextShare& share, const Tensor& q) : share_(share), q_(q) {}

void RingAttention::meet(Context& context, const Tensor& keys_values) {
  const Meeting meeting = meeting_in(share_, step_, q_.shape()[kTimes]);
  const KeysValues both(at(keys_values, meeting.keys));
  Attention part =
      ops::attention(context, at(q_, meeting.queries), both.keys, both.values, options_of(meeting));
  if (step_++ == 0) {
    sum_ = std::move(part);
  } else {
    merge(context, part, meeting.queries);
  }
}

void RingAttention::merge(Context& context, const Attention& part, const Run& queries) {
  sum_.out = ops::cast(context, sum_.out, sums_of(q_.dtype()));
  const Tensor out = at(sum_.out, queries);
  const Tensor log_sum_exp = sum_.log_sum_exp.narrow(2, queries.first, queries.count);
  const Tensor total = log_add_exp(context, log_sum_exp, part.log_sum_exp);
  const Tensor share = ops::unary(context, Op::kExp, ops::sub(context, part.log_sum_exp, total));
  const Tensor change = ops::sub(context, ops::cast(context, part.out, out.dtype()), out);
  const Tensor factors = ops::cast(context, by_time(share), out.dtype());
  ops::add_into(context, out, ops::mul(context, change, factors));
  ops::copy_into(context, total, log_sum_exp);
}

Attention RingAttention::finish(Context& context) {
  CHECK_EQ(step_, share_.ranks) << "meetings";
  return {ops::cast(context, sum_.out, q_.dtype()), std::move(sum_.log_sum_exp)};
}

RingAttentionGrad::RingAttentionGrad(const ContextShare& share, const Tensor& q,
                                     const Attention& forward, const Tensor& grad)
    : share_(share), q_(q), forward_(forward), grad_(grad) {}

Tensor RingAttentionGrad::meet(Context& context, const Tensor& keys_values, const Tensor& sums) {
  const Meeting meeting = meeting_in(share_, step_, q_.shape()[kTimes]);
  const Run& queries = meeting.queries;
  const KeysValues both(at(keys_values, meeting.keys));
  const Attention forward{
      at(forward_.out, queries),
      ops::contiguous(context, forward_.log_sum_exp.narrow(2, queries.first, queries.count))};
  const Tensor found = Tensor::empty(context.pool(), q_.dtype(),
                                     keys_values.shape().with(kTimes, meeting.keys.count));
  const KeysValues into(found);
  const AttentionGrad grads =
      ops::attention_grad(context, at(q_, queries), both.keys, both.values, forward,
                          at(grad_, queries), options_of(meeting), {{}, into.keys, into.values});
  const Tensor grad_q = ops::cast(context, grads.q, sums_of(q_.dtype()));
  const Tensor grad_keys_values = ops::cast(context, found, grad_q.dtype());
  CHECK_EQ(sums.defined(), step_ > 0) << "sums of gradients";
  if (step_++ == 0) {
    grad_q_ = grad_q;
    return grad_keys_values;
  }
  ops::add_into(context, at(grad_q_, queries), grad_q);
  // A tensor of its own, since what came may lie in a register.
  const Tensor more = Tensor::empty(context.pool(), sums.dtype(), sums.shape());
  ops::copy_into(context, sums, more);
  ops::add_into(context, at(more, meeting.keys), grad_keys_values);
  return more;
}

Tensor RingAttentionGrad::finish(Context& context, const Tensor& sums) {
  CHECK_EQ(step_, share_.ranks) << "meetings";
  const std::array parts{ops::cast(context, grad_q_, q_.dtype()),
                         ops::cast(context, sums, q_.dtype())};
  return ops::concat(context, parts, kHeads);
}

}  // namespace reef::nn
