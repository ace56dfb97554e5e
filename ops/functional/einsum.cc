#include "ops/functional/einsum.h"

#include "ops/functional/dense.h"
#include "ops/functional/einsum_equation.h"
#include "ops/functional/move.h"

namespace reef::ops {

namespace {

struct OnTensors {
  using Value = Tensor;
  Context& context;

  Tensor permute(const Tensor& x, std::span<const std::size_t> order) { return x.permute(order); }
  Tensor reshape(const Tensor& x, const Shape& shape) {
    return contiguous(context, x).reshape(shape);
  }
  Tensor sum(const Tensor& x, Axes axes) { return ops::sum(context, x, axes); }
  Tensor batch_matmul(const Tensor& a, const Tensor& b) { return ops::batch_matmul(context, a, b); }
};

}  // namespace

Result<Tensor> einsum(Context& context, std::string_view equation,
                      std::span<const Tensor> operands) {
  std::vector<Shape> shapes;
  for (const Tensor& operand : operands) shapes.push_back(operand.shape());
  ATOLL_ASSIGN(const Equation parsed, Equation::parse(equation, shapes));
  return Einsum(OnTensors{context}, parsed).run(operands);
}

}  // namespace reef::ops
