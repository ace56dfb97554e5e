#include "ops/autograd/decomposed/index.h"

#include "ops/autograd/functions.h"

namespace reef::ops::decomposed {

Variable embedding(Context& context, Tape& tape, const Tensor& tokens, const Variable& table,
                   const Variable& positions) {
  const Tensor flat = tokens.reshape({tokens.elements()});
  const Shape shape = tokens.shape().inserted(2, table.value.shape()[1]);
  const Variable rows = reshape(context, tape, index_select(context, tape, table, 0, flat), shape);
  if (!positions.value.defined()) return rows;
  const Variable first = narrow(context, tape, positions, 0, 0, tokens.shape()[1]);
  return add(context, tape, rows, first);
}

}  // namespace reef::ops::decomposed
