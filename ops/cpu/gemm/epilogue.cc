#include "ops/cpu/gemm/epilogue.h"

namespace reef::ops::cpu {

namespace {

template <typename Byte>
Byte* shifted(Byte* data, DType dtype, std::int64_t offset) {
  return data == nullptr ? nullptr : data + offset * (dtype == DType::kBF16 ? 2 : 4);
}

ConstElements part(const Input& input, std::int64_t row, std::int64_t column) {
  return {shifted(static_cast<const std::byte*>(input.data), input.dtype,
                  row * input.row_stride + column),
          input.dtype == DType::kBF16};
}

Nonlinearity nonlinearity_of(Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return Nonlinearity::kNone;
    case Activation::kGelu:
      return Nonlinearity::kGelu;
    case Activation::kSilu:
      return Nonlinearity::kSilu;
    case Activation::kRelu:
      return Nonlinearity::kRelu;
  }
  __builtin_unreachable();
}

Elements part(const Output& output, std::int64_t row, std::int64_t column) {
  return {
      shifted(static_cast<std::byte*>(output.data), output.dtype, row * output.row_stride + column),
      output.dtype == DType::kBF16};
}

}  // namespace

bool is_plain(const MatrixProduct& product) {
  return product.c.dtype == DType::kF32 && product.bias.data == nullptr &&
         product.activation == Activation::kNone && product.pre_activation.data == nullptr &&
         product.residual.data == nullptr;
}

Finish finish_of(const MatrixProduct& product, std::int64_t row, std::int64_t column,
                 const float* sums, std::int64_t sums_stride) {
  return {sums,
          sums_stride,
          part(product.bias, 0, column),
          nonlinearity_of(product.activation),
          part(product.pre_activation, row, column),
          product.pre_activation.row_stride,
          part(product.residual, row, column),
          product.residual.row_stride,
          part(product.c, row, column),
          product.c.row_stride};
}

}  // namespace reef::ops::cpu
