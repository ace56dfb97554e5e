#include "ops/autograd/functions/attention.h"

#include "ops/autograd/decomposed/attention.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/move.h"

namespace reef::ops {

Variable attention(Context& context, Tape& tape, const Variable& q, const Variable& k,
                   const Variable& v, const AttentionOptions& options) {
  if (tape.decomposes()) return decomposed::attention(context, tape, q, k, v, options);
  Attention result = attention(context, q.value, k.value, v.value, options);
  return tape.record(result.out, {q, k, v},
                     {q, k, v, Tape::result(result.out), constant(std::move(result.log_sum_exp))},
                     [options](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       const Attention forward{gradients.saved(3).value, gradients.saved(4).value};
                       AttentionGrad grads = attention_grad(
                           context, gradients.saved(0).value, gradients.saved(1).value,
                           gradients.saved(2).value, forward, grad.value, options);
                       gradients.add(0, constant(std::move(grads.q)));
                       gradients.add(1, constant(std::move(grads.k)));
                       gradients.add(2, constant(std::move(grads.v)));
                     });
}

Variable packed_attention(Context& context, Tape& tape, const Variable& qkv, std::int64_t heads,
                          const AttentionOptions& options) {
  if (tape.decomposes()) {
    return decomposed::packed_attention(context, tape, qkv, heads, options);
  }
  Attention result = packed_attention(context, qkv.value, heads, options);
  return tape.record(
      result.out, {qkv}, {qkv, Tape::result(result.out), constant(std::move(result.log_sum_exp))},
      [heads, options](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        const Attention forward{gradients.saved(1).value, gradients.saved(2).value};
        gradients.add(
            0, constant(packed_attention_grad(context, gradients.saved(0).value, forward,
                                              contiguous(context, grad.value), heads, options)));
      });
}

Variable attention(Context& context, Tape& tape, const Variable& qkv, std::int64_t heads,
                   const Draw& draw) {
  AttentionOptions options;
  options.draw = draw;
  return packed_attention(context, tape, qkv, heads, options);
}

Variable rope(Context& context, Tape& tape, const Variable& x, double base, std::int64_t first,
              bool reverse) {
  return tape.record(
      rope(context, x.value, base, first, reverse), {x}, {},
      [base, first, reverse](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(0, rope(context, gradients.tape(), grad, base, first, !reverse));
      });
}

Variable rope(Context& context, Tape& tape, const Variable& x, double base,
              const std::vector<Run>& runs, bool reverse) {
  return tape.record(
      rope(context, x.value, base, runs, reverse), {x}, {},
      [base, runs, reverse](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(0, rope(context, gradients.tape(), grad, base, runs, !reverse));
      });
}

}  // namespace reef::ops
