#include "ops/autograd/functions/einsum.h"

#include "ops/autograd/functions/dense.h"
#include "ops/autograd/functions/move.h"
#include "ops/autograd/functions/reduce.h"
#include "ops/functional/einsum_equation.h"

namespace reef::ops {

namespace {

struct OnVariables {
  using Value = Variable;
  Context& context;
  Tape& tape;

  Variable permute(const Variable& x, std::span<const std::size_t> order) {
    return ops::permute(context, tape, x, order);
  }
  Variable reshape(const Variable& x, const Shape& shape) {
    return ops::reshape(context, tape, x, shape);
  }
  Variable sum(const Variable& x, Axes axes) { return ops::sum(context, tape, x, axes); }
  Variable batch_matmul(const Variable& a, const Variable& b) {
    return ops::batch_matmul(context, tape, a, b);
  }
};

}  // namespace

Result<Variable> einsum(Context& context, Tape& tape, std::string_view equation,
                        std::span<const Variable> operands) {
  std::vector<Shape> shapes;
  for (const Variable& operand : operands) shapes.push_back(operand.value.shape());
  ATOLL_ASSIGN(const Equation parsed, Equation::parse(equation, shapes));
  return Einsum(OnVariables{context, tape}, parsed).run(operands);
}

}  // namespace reef::ops
