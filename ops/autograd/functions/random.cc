#include "ops/autograd/functions/random.h"

#include "ops/functional/functional.h"

namespace reef::ops {

Variable dropout(Context& context, Tape& tape, const Variable& x, const Draw& draw) {
  if (draw.probability <= 0) return x;
  return tape.record(dropout(context, x.value, draw), {x}, {},
                     [draw](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, dropout(context, gradients.tape(), grad, draw));
                     });
}

}  // namespace reef::ops
