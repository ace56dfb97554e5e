#include "ops/autograd/functions/index.h"

#include "ops/autograd/decomposed/index.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"

namespace reef::ops {

Variable index_select(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                      const Tensor& index) {
  return tape.record(index_select(context, x.value, axis, index), {x}, {constant(index)},
                     [axis, extent = x.value.shape()[axis]](Context& context, const Variable& grad,
                                                            Tape::Gradients& gradients) {
                       gradients.add(0, index_add(context, gradients.tape(),
                                                  gradients.saved(0).value, grad, axis, extent));
                     });
}

Variable index_add(Context& context, Tape& tape, const Tensor& index, const Variable& source,
                   std::size_t axis, std::int64_t extent) {
  return tape.record(
      index_add(context, index, source.value, axis, extent), {source}, {constant(index)},
      [axis](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(
            0, index_select(context, gradients.tape(), grad, axis, gradients.saved(0).value));
      });
}

Variable gather(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                const Tensor& index) {
  return tape.record(gather(context, x.value, axis, index), {x}, {constant(index)},
                     [axis, extent = x.value.shape()[axis]](Context& context, const Variable& grad,
                                                            Tape::Gradients& gradients) {
                       gradients.add(0, scatter_add(context, gradients.tape(),
                                                    gradients.saved(0).value, grad, axis, extent));
                     });
}

Variable scatter_add(Context& context, Tape& tape, const Tensor& index, const Variable& source,
                     std::size_t axis, std::int64_t extent) {
  return tape.record(
      scatter_add(context, index, source.value, axis, extent), {source}, {constant(index)},
      [axis](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(0, gather(context, gradients.tape(), grad, axis, gradients.saved(0).value));
      });
}

TopKVariable top_k(Context& context, Tape& tape, const Variable& x, std::int64_t k) {
  TopK result = top_k(context, x.value, k);
  const std::size_t axis = x.value.shape().rank() - 1;
  const Variable values =
      tape.record(result.values, {x}, {constant(result.places)},
                  [axis, extent = x.value.shape().back()](Context& context, const Variable& grad,
                                                          Tape::Gradients& gradients) {
                    gradients.add(0, scatter_add(context, gradients.tape(),
                                                 gradients.saved(0).value, grad, axis, extent));
                  });
  return {values, std::move(result.places)};
}

Variable embedding(Context& context, Tape& tape, const Tensor& tokens, const Variable& table,
                   const Variable& positions) {
  if (tape.decomposes()) return decomposed::embedding(context, tape, tokens, table, positions);
  const bool placed = positions.value.defined();
  return tape.record(
      embedding(context, tokens, table.value, positions.value), {table, positions},
      {constant(tokens)},
      [rows = table.value.shape()[0], columns = placed ? positions.value.shape()[0] : 0](
          Context& context, const Variable& grad, Tape::Gradients& gradients) {
        EmbeddingGrad grads =
            embedding_grad(context, gradients.saved(0).value, grad.value, rows, columns);
        gradients.add(0, constant(std::move(grads.table)));
        gradients.add(1, constant(std::move(grads.positions)));
      });
}

}  // namespace reef::ops
