#include <vector>

#include "ops/reference/kernels.h"
#include "ops/reference/pointwise.h"
#include "ops/reference/types.h"

namespace reef::ops::reference {

namespace {

/// A matrix somewhere in memory; `transposed()` is the same elements seen the other way.
template <typename T>
struct Matrix {
  const T* data;
  std::int64_t rows, columns;
  std::int64_t row_step, column_step;

  Matrix transposed() const { return {data, columns, rows, column_step, row_step}; }
  double at(std::int64_t row, std::int64_t column) const {
    return data[row * row_step + column * column_step];
  }
};

/// All extents but the last are rows.
template <typename T>
Matrix<T> matrix_of(const Tensor& tensor) {
  const std::int64_t columns = tensor.shape().back();
  return {tensor.data<T>(), tensor.shape().rows(), columns, columns, 1};
}

/// Row i of a times column j of b.
template <typename T>
double dot(const Matrix<T>& a, const Matrix<T>& b, std::int64_t i, std::int64_t j) {
  double sum = 0;
  for (std::int64_t k = 0; k < a.columns; ++k) sum += a.at(i, k) * b.at(k, j);
  return sum;
}

double activated(double x, Activation activation) {
  switch (activation) {
    case Activation::kGelu:
      return gelu(x);
    case Activation::kSilu:
      return silu(x);
    case Activation::kRelu:
      return relu(x);
    case Activation::kNone:
      break;
  }
  return x;
}

/// residual + activation(a b + bias), rounded once.
template <typename T>
void multiply(const Call& call) {
  const Product product = call.attributes.product;
  Matrix<T> a = matrix_of<T>(call.in[0]);
  Matrix<T> b = matrix_of<T>(call.in[1]);
  if (product == Product::kTN) a = a.transposed();
  if (product == Product::kNT) b = b.transposed();
  for (std::int64_t i = 0; i < a.rows; ++i) {
    for (std::int64_t j = 0; j < b.columns; ++j) {
      const std::int64_t at = i * b.columns + j;
      double value = dot(a, b, i, j);
      if (call.in.size() > 2) value += get(call.in[2], j);
      if (call.out.size() > 1) call.out[1].data<T>()[at] = static_cast<T>(value);
      value = activated(value, call.attributes.activation);
      if (call.in.size() > 3) value += call.in[3].data<T>()[at];
      call.out[0].data<T>()[at] = static_cast<T>(value);
    }
  }
}

/// The last two axes at `place` of the axes before them.
template <typename T>
Matrix<T> matrix_at(const Tensor& tensor, const Place& place) {
  const std::size_t row_axis = tensor.shape().rank() - 2;
  const T* data = tensor.data<T>();
  for (std::size_t axis = 0; axis < row_axis; ++axis) data += place[axis] * tensor.stride(axis);
  return {data, tensor.shape()[row_axis], tensor.shape().back(), tensor.stride(row_axis),
          tensor.stride(row_axis + 1)};
}

template <typename T>
void multiply_batch(const Call& call) {
  const Tensor& out = call.out[0];
  const std::size_t rank = out.shape().rank();
  for_places(out.shape(), [&](const Place& place) {
    Matrix<T> a = matrix_at<T>(call.in[0], place);
    Matrix<T> b = matrix_at<T>(call.in[1], place);
    if (call.attributes.product == Product::kTN) a = a.transposed();
    if (call.attributes.product == Product::kNT) b = b.transposed();
    out.data<T>()[offset_of(out, place, rank)] =
        static_cast<T>(dot(a, b, place[rank - 2], place[rank - 1]));
  });
}

template <typename T>
void sum_columns(const Call& call) {
  const Matrix<T> x = matrix_of<T>(call.in[0]);
  for (std::int64_t j = 0; j < x.columns; ++j) {
    double sum = 0;
    for (std::int64_t i = 0; i < x.rows; ++i) sum += x.at(i, j);
    call.out[0].data<T>()[j] = static_cast<T>(sum);
  }
}

}  // namespace

void matmul(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) { multiply<decltype(zero)>(call); });
}

void batch_matmul(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) { multiply_batch<decltype(zero)>(call); });
}

void column_sum(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) { sum_columns<decltype(zero)>(call); });
}

}  // namespace reef::ops::reference
