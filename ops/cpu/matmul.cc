#include "ops/cpu/gemm/gemm.h"
#include "ops/cpu/kernels.h"

namespace reef::ops::cpu {

namespace {

void check_dtype(const Tensor& tensor) {
  CHECK(tensor.dtype() == DType::kF32 || tensor.dtype() == DType::kBF16)
      << "a product takes f32 and bf16, not " << name_of(tensor.dtype());
}

Output output(const Tensor& tensor) {
  check_dtype(tensor);
  return {tensor.bytes().data(), tensor.dtype(), tensor.shape().back()};
}
Input input(const Tensor& tensor) {
  check_dtype(tensor);
  return {tensor.bytes().data(), tensor.dtype(), tensor.shape().back()};
}
Operand operand(const Tensor& tensor, bool transposed) {
  check_dtype(tensor);
  const std::int64_t stride = tensor.shape().back();
  return {tensor.bytes().data(), tensor.dtype(), transposed ? 1 : stride, transposed ? stride : 1};
}

}  // namespace

void matmul(const Call& call) {
  const Tensor& a = call.in[0];
  const bool transpose_a = call.attributes.product == Product::kTN;
  const bool transpose_b = call.attributes.product == Product::kNT;
  MatrixProduct product{.rows = call.out[0].shape().rows(),
                        .columns = call.out[0].shape().back(),
                        .inner = transpose_a ? a.shape().rows() : a.shape().back(),
                        .a = operand(a, transpose_a),
                        .b = operand(call.in[1], transpose_b),
                        .c = output(call.out[0]),
                        .activation = call.attributes.activation};
  if (call.in.size() > 2) product.bias = input(call.in[2]);
  if (call.in.size() > 3) product.residual = input(call.in[3]);
  if (call.out.size() > 1) product.pre_activation = output(call.out[1]);
  gemm(call.context, product);
}

}  // namespace reef::ops::cpu
