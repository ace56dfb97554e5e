#include <cmath>
#include <vector>

#include "ops/reference/kernels.h"
#include "ops/reference/types.h"

namespace reef::ops::reference {

namespace {

/// log(sum(exp(x))), shifted by the greatest so that nothing overflows.
template <typename X>
double log_sum_exp(const X* x, std::int64_t columns) {
  double most = x[0];
  for (std::int64_t j = 1; j < columns; ++j) most = x[j] > most ? x[j] : most;
  double sum = 0;
  for (std::int64_t j = 0; j < columns; ++j) sum += std::exp(x[j] - most);
  return most + std::log(sum);
}

/// Calls body(row of `in`, row of `out`, columns) for every row.
template <typename T, typename Body>
void for_rows(const Tensor& in, const Tensor& out, const Body& body) {
  const std::int64_t columns = in.shape().back();
  for (std::int64_t row = 0; row < in.shape().rows(); ++row) {
    body(in.data<T>() + row * columns, out.data<T>() + row * columns, columns);
  }
}

/// Loss of one row, and the slope of each logit, `scale` times, if wanted. A negative target counts
/// for nothing.
template <typename X, typename SetSlope>
double row_loss(const X* logits, std::int64_t columns, std::int32_t target, double scale,
                const SetSlope& set_slope) {
  CHECK_LT(target, columns) << "target out of the vocabulary";
  const double total = log_sum_exp(logits, columns);
  for (std::int64_t j = 0; j < columns; ++j) {
    const double slope = std::exp(logits[j] - total) - (j == target ? 1 : 0);
    set_slope(j, target < 0 ? 0 : slope * scale);
  }
  return target < 0 ? 0 : total - logits[target];
}

template <typename T>
void cross_entropy_rows(const Call& call) {
  const std::int64_t columns = call.in[0].shape().back();
  for (std::int64_t row = 0; row < call.in[0].shape().rows(); ++row) {
    call.out[0].data<double>()[row] = row_loss(
        call.in[0].data<T>() + row * columns, columns, call.in[1].data<std::int32_t>()[row],
        call.attributes.scale, [&](std::int64_t j, double slope) {
          if (call.out.size() < 2) return;
          call.out[1].data<T>()[row * columns + j] = static_cast<T>(slope);
        });
  }
}

/// logits = x weight^T, a row at a time; with g their slopes, dx = g weight and dweight = g^T x.
template <typename T>
void linear_cross_entropy_rows(const Call& call) {
  const Tensor& weight = call.in[1];
  const std::int64_t width = weight.shape().back();
  const std::int64_t vocabulary = weight.shape().front();
  std::vector<double> logits(static_cast<std::size_t>(vocabulary));
  std::vector<double> weight_grad(static_cast<std::size_t>(weight.elements()));
  for (std::int64_t row = 0; row < call.in[0].shape().rows(); ++row) {
    const T* x = call.in[0].data<T>() + row * width;
    std::vector<double> x_grad(static_cast<std::size_t>(width));
    for (std::int64_t j = 0; j < vocabulary; ++j) {
      double sum = 0;
      for (std::int64_t c = 0; c < width; ++c) {
        sum += static_cast<double>(x[c]) * weight.data<T>()[j * width + c];
      }
      logits[static_cast<std::size_t>(j)] = sum;
    }
    call.out[0].data<double>()[row] =
        row_loss(logits.data(), vocabulary, call.in[2].data<std::int32_t>()[row],
                 call.attributes.scale, [&](std::int64_t j, double slope) {
                   for (std::int64_t c = 0; c < width; ++c) {
                     x_grad[static_cast<std::size_t>(c)] += slope * weight.data<T>()[j * width + c];
                     weight_grad[static_cast<std::size_t>(j * width + c)] += slope * x[c];
                   }
                 });
    for (std::int64_t c = 0; c < width; ++c) {
      call.out[1].data<T>()[row * width + c] = static_cast<T>(x_grad[static_cast<std::size_t>(c)]);
    }
  }
  for (std::size_t i = 0; i < weight_grad.size(); ++i) {
    call.out[2].data<T>()[i] = static_cast<T>(weight_grad[i]);
  }
}

}  // namespace

void softmax(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_rows<T>(call.in[0], call.out[0], [](const T* x, T* y, std::int64_t columns) {
      const double total = log_sum_exp(x, columns);
      for (std::int64_t j = 0; j < columns; ++j) y[j] = static_cast<T>(std::exp(x[j] - total));
    });
  });
}

void log_softmax(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_rows<T>(call.in[0], call.out[0], [](const T* x, T* y, std::int64_t columns) {
      const double total = log_sum_exp(x, columns);
      for (std::int64_t j = 0; j < columns; ++j) y[j] = static_cast<T>(x[j] - total);
    });
  });
}

// dx = y (grad - sum(y grad))
void softmax_grad(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* grad = call.in[1].data<T>();
    for_rows<T>(call.in[0], call.out[0], [&grad](const T* y, T* x_grad, std::int64_t columns) {
      double sum = 0;
      for (std::int64_t j = 0; j < columns; ++j) sum += static_cast<double>(y[j]) * grad[j];
      for (std::int64_t j = 0; j < columns; ++j) x_grad[j] = static_cast<T>(y[j] * (grad[j] - sum));
      grad += columns;
    });
  });
}

// dx = grad - exp(y) sum(grad)
void log_softmax_grad(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* grad = call.in[1].data<T>();
    for_rows<T>(call.in[0], call.out[0], [&grad](const T* y, T* x_grad, std::int64_t columns) {
      double sum = 0;
      for (std::int64_t j = 0; j < columns; ++j) sum += grad[j];
      for (std::int64_t j = 0; j < columns; ++j) {
        x_grad[j] = static_cast<T>(grad[j] - std::exp(static_cast<double>(y[j])) * sum);
      }
      grad += columns;
    });
  });
}

void cross_entropy(const Call& call) {
  with_real(call.in[0].dtype(), [&](auto zero) { cross_entropy_rows<decltype(zero)>(call); });
}

void linear_cross_entropy(const Call& call) {
  with_real(call.in[0].dtype(),
            [&](auto zero) { linear_cross_entropy_rows<decltype(zero)>(call); });
}

}  // namespace reef::ops::reference
