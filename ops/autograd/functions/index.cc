#include "ops/autograd/functions/index.h"

#include "ops/autograd/decomposed/index.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

using Read = Variable (*)(Context&, Tape&, const Variable&, std::size_t, const Tensor&);
using Write = Variable (*)(Context&, Tape&, const Tensor&, const Variable&, std::size_t,
                           std::int64_t);

/// Of what was read at an index: the gradient is written back there.
Variable record_read(Tape& tape, Tensor value, const Variable& x, std::size_t axis,
                     const Tensor& index, Write write) {
  return tape.record(std::move(value), {x}, {constant(index)},
                     [axis, extent = x.value.shape()[axis], write](
                         Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, write(context, gradients.tape(), gradients.saved(0).value,
                                              grad, axis, extent));
                     });
}

/// Of what was written at an index: the gradient is read from there.
Variable record_write(Tape& tape, Tensor value, const Variable& source, std::size_t axis,
                      const Tensor& index, Read read) {
  return tape.record(
      std::move(value), {source}, {constant(index)},
      [axis, read](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(0, read(context, gradients.tape(), grad, axis, gradients.saved(0).value));
      });
}

}  // namespace

Variable index_select(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                      const Tensor& index) {
  return record_read(tape, index_select(context, x.value, axis, index), x, axis, index, index_add);
}

Variable index_add(Context& context, Tape& tape, const Tensor& index, const Variable& source,
                   std::size_t axis, std::int64_t extent) {
  return record_write(tape, index_add(context, index, source.value, axis, extent), source, axis,
                      index, index_select);
}

Variable gather(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                const Tensor& index) {
  return record_read(tape, gather(context, x.value, axis, index), x, axis, index, scatter_add);
}

Variable scatter_add(Context& context, Tape& tape, const Tensor& index, const Variable& source,
                     std::size_t axis, std::int64_t extent) {
  return record_write(tape, scatter_add(context, index, source.value, axis, extent), source, axis,
                      index, gather);
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
