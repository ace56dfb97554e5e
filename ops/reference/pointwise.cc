#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "ops/catalog/draw.h"
#include "ops/reference/kernels.h"

namespace reef::ops::reference {

namespace {

double gelu_inner(double x) { return std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x); }

}  // namespace

void add(const Call& call) {
  for (std::int64_t i = 0; i < call.out[0].elements(); ++i) {
    call.out[0].data<float>()[i] = call.in[0].data<float>()[i] + call.in[1].data<float>()[i];
  }
}

void gelu(const Call& call) {
  for (std::int64_t i = 0; i < call.out[0].elements(); ++i) {
    const double x = call.in[0].data<float>()[i];
    call.out[0].data<float>()[i] = static_cast<float>(0.5 * x * (1 + std::tanh(gelu_inner(x))));
  }
}

void gelu_grad(const Call& call) {
  for (std::int64_t i = 0; i < call.out[0].elements(); ++i) {
    const double x = call.in[0].data<float>()[i];
    const double t = std::tanh(gelu_inner(x));
    const double slope = std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x);
    call.out[0].data<float>()[i] = static_cast<float>(
        call.in[1].data<float>()[i] * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope));
  }
}

void cross_entropy(const Call& call) {
  const std::int64_t columns = call.in[0].shape().back();
  double* losses = call.out[0].data<double>();
  for (std::int64_t row = 0; row < call.in[0].shape().rows(); ++row) {
    const float* x = call.in[0].data<float>() + row * columns;
    const std::int32_t target = call.in[1].data<std::int32_t>()[row];
    CHECK_LT(target, columns) << "target out of the vocabulary";
    const double shift = *std::max_element(x, x + columns);
    double sum = 0;
    for (std::int64_t j = 0; j < columns; ++j) sum += std::exp(x[j] - shift);
    losses[row] = target < 0 ? 0 : std::log(sum) + shift - x[target];
    if (call.out.size() < 2) continue;
    for (std::int64_t j = 0; j < columns; ++j) {
      const double slope = std::exp(x[j] - shift) / sum - (j == target ? 1 : 0);
      call.out[1].data<float>()[row * columns + j] =
          target < 0 ? 0 : static_cast<float>(slope * call.attributes.scale);
    }
  }
}

void dropout(const Call& call) {
  const Draw& draw = call.attributes.draw;
  const Random stream = dropout_stream(draw);
  const std::int64_t samples = call.in[0].shape().front();
  const std::int64_t row = samples > 0 ? call.in[0].elements() / samples : 0;
  for (std::int64_t i = 0; i < call.out[0].elements(); ++i) {
    call.out[0].data<float>()[i] =
        call.in[0].data<float>()[i] *
        dropout_factor(stream, draw, draw.first_sample + static_cast<std::uint64_t>(i / row),
                       static_cast<std::uint64_t>(i % row));
  }
}

void square_sum(const Call& call) {
  double* sums = call.out[0].data<double>();
  std::fill_n(sums, call.out[0].shape().front(), 0.0);
  for (std::int64_t i = 0; i < call.in[0].elements(); ++i) {
    const double value = call.in[0].data<float>()[i];
    sums[i / kSquareSumBlock] += value * value;
  }
}

void adamw(const Call& call) {
  const Update& f = call.attributes.update;
  const std::size_t count = call.in.size();
  const double step = static_cast<double>(f.step);
  const double correction1 = 1 - std::pow(static_cast<double>(f.beta1), step);
  const double correction2 = 1 - std::pow(static_cast<double>(f.beta2), step);
  for (std::size_t tensor = 0; tensor < count; ++tensor) {
    const double decay = f.decays(tensor) ? static_cast<double>(f.lr) * f.weight_decay : 0;
    for (std::int64_t i = 0; i < call.in[tensor].elements(); ++i) {
      float& master = call.out[tensor].data<float>()[i];
      float& m = call.out[count + tensor].data<float>()[i];
      float& v = call.out[2 * count + tensor].data<float>()[i];
      const double g = static_cast<double>(call.in[tensor].data<float>()[i]) * f.grad_scale;
      const double mean = static_cast<double>(f.beta1) * m + (1 - static_cast<double>(f.beta1)) * g;
      const double square =
          static_cast<double>(f.beta2) * v + (1 - static_cast<double>(f.beta2)) * g * g;
      m = static_cast<float>(mean);
      v = static_cast<float>(square);
      master = static_cast<float>(master * (1 - decay) -
                                  f.lr / correction1 * mean /
                                      (std::sqrt(square / correction2) + f.epsilon));
      if (call.out.size() == 4 * count) {
        call.out[3 * count + tensor].data<BF16>()[i] = BF16::from(master);
      }
    }
  }
}

}  // namespace reef::ops::reference
