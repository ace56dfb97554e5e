#include <cmath>
#include <vector>

#include "ops/reference/kernels.h"
#include "ops/reference/types.h"

namespace reef::ops::reference {

namespace {

/// Row `row` of a contiguous tensor.
template <typename T>
T* row_of(const Tensor& tensor, std::int64_t row) {
  return tensor.data<T>() + row * tensor.shape().back();
}

struct Moments {
  double mean = 0;
  double inverse = 0;  ///< 1 / standard deviation
};

template <typename T>
Moments moments_of(const T* x, std::int64_t columns, double epsilon) {
  double mean = 0;
  for (std::int64_t j = 0; j < columns; ++j) mean += x[j];
  mean /= static_cast<double>(columns);
  double variance = 0;
  for (std::int64_t j = 0; j < columns; ++j) variance += (x[j] - mean) * (x[j] - mean);
  variance /= static_cast<double>(columns);
  return {mean, 1 / std::sqrt(variance + epsilon)};
}

/// Ba et al. 2016, arXiv 1607.06450.
template <typename T>
void normalise(const Tensor& x, const Tensor& weight, const Tensor& bias, double epsilon,
               const Tensor& y, const Tensor& statistics) {
  const std::int64_t columns = x.shape().back();
  for (std::int64_t row = 0; row < x.shape().rows(); ++row) {
    const Moments m = moments_of(row_of<T>(x, row), columns, epsilon);
    for (std::int64_t j = 0; j < columns; ++j) {
      const double normal = (row_of<T>(x, row)[j] - m.mean) * m.inverse;
      row_of<T>(y, row)[j] =
          static_cast<T>(normal * weight.data<T>()[j] + static_cast<double>(bias.data<T>()[j]));
    }
    row_of<T>(statistics, row)[0] = static_cast<T>(m.mean);
    row_of<T>(statistics, row)[1] = static_cast<T>(m.inverse);
  }
}

template <typename T>
void store(const std::vector<double>& sums, const Tensor& out) {
  for (std::size_t j = 0; j < sums.size(); ++j) out.data<T>()[j] = static_cast<T>(sums[j]);
}

/// With n = (x - mean) inverse and h = grad weight:
/// dx = inverse (h - mean(h) - n mean(h n)), dw = sum(grad n), db = sum(grad).
template <typename T>
void layer_norm_backward(const Call& call) {
  const Tensor& x = call.in[0];
  const T* weight = call.in[1].data<T>();
  const std::int64_t columns = x.shape().back();
  std::vector<double> weight_grad(static_cast<std::size_t>(columns));
  std::vector<double> bias_grad(static_cast<std::size_t>(columns));
  for (std::int64_t row = 0; row < x.shape().rows(); ++row) {
    const T* grad = row_of<T>(call.in[3], row);
    const double mean = row_of<T>(call.in[2], row)[0];
    const double inverse = row_of<T>(call.in[2], row)[1];
    const auto normal = [&](std::int64_t j) { return (row_of<T>(x, row)[j] - mean) * inverse; };
    double sum = 0;
    double sum_normal = 0;
    for (std::int64_t j = 0; j < columns; ++j) {
      const double h = static_cast<double>(grad[j]) * weight[j];
      sum += h;
      sum_normal += h * normal(j);
      weight_grad[static_cast<std::size_t>(j)] += grad[j] * normal(j);
      bias_grad[static_cast<std::size_t>(j)] += grad[j];
    }
    for (std::int64_t j = 0; j < columns; ++j) {
      const double h = static_cast<double>(grad[j]) * weight[j];
      double dx = inverse * (h - (sum + normal(j) * sum_normal) / static_cast<double>(columns));
      if (call.in.size() > 4) dx += row_of<T>(call.in[4], row)[j];
      row_of<T>(call.out[0], row)[j] = static_cast<T>(dx);
    }
  }
  store<T>(weight_grad, call.out[1]);
  store<T>(bias_grad, call.out[2]);
}

/// Zhang and Sennrich 2019, arXiv 1910.07467.
template <typename T>
void rms_norm_forward(const Call& call) {
  const Tensor& x = call.in[0];
  const std::int64_t columns = x.shape().back();
  for (std::int64_t row = 0; row < x.shape().rows(); ++row) {
    const T* values = row_of<T>(x, row);
    double squares = 0;
    for (std::int64_t j = 0; j < columns; ++j)
      squares += static_cast<double>(values[j]) * values[j];
    const double inverse =
        1 / std::sqrt(squares / static_cast<double>(columns) + call.attributes.epsilon);
    for (std::int64_t j = 0; j < columns; ++j) {
      row_of<T>(call.out[0], row)[j] =
          static_cast<T>(values[j] * inverse * call.in[1].data<T>()[j]);
    }
    call.out[1].data<T>()[row] = static_cast<T>(inverse);
  }
}

/// With n = x inverse and h = grad weight: dx = inverse (h - n mean(h n)), dw = sum(grad n).
template <typename T>
void rms_norm_backward(const Call& call) {
  const Tensor& x = call.in[0];
  const T* weight = call.in[1].data<T>();
  const std::int64_t columns = x.shape().back();
  std::vector<double> weight_grad(static_cast<std::size_t>(columns));
  for (std::int64_t row = 0; row < x.shape().rows(); ++row) {
    const T* grad = row_of<T>(call.in[3], row);
    const double inverse = call.in[2].data<T>()[row];
    const auto normal = [&](std::int64_t j) { return row_of<T>(x, row)[j] * inverse; };
    double sum_normal = 0;
    for (std::int64_t j = 0; j < columns; ++j) {
      sum_normal += static_cast<double>(grad[j]) * weight[j] * normal(j);
      weight_grad[static_cast<std::size_t>(j)] += grad[j] * normal(j);
    }
    for (std::int64_t j = 0; j < columns; ++j) {
      const double h = static_cast<double>(grad[j]) * weight[j];
      row_of<T>(call.out[0], row)[j] =
          static_cast<T>(inverse * (h - normal(j) * sum_normal / static_cast<double>(columns)));
    }
  }
  store<T>(weight_grad, call.out[1]);
}

}  // namespace

void layer_norm(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) {
    normalise<decltype(zero)>(call.in[0], call.in[1], call.in[2], call.attributes.epsilon,
                              call.out[0], call.out[1]);
  });
}

void add_layer_norm(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Tensor& sum = call.out[1];
    for (std::int64_t i = 0; i < sum.elements(); ++i) {
      sum.data<T>()[i] = call.in[0].data<T>()[i] + call.in[1].data<T>()[i];
    }
    normalise<T>(sum, call.in[2], call.in[3], call.attributes.epsilon, call.out[0], call.out[2]);
  });
}

void layer_norm_grad(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) { layer_norm_backward<decltype(zero)>(call); });
}

void rms_norm(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) { rms_norm_forward<decltype(zero)>(call); });
}

void rms_norm_grad(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) { rms_norm_backward<decltype(zero)>(call); });
}

}  // namespace reef::ops::reference
