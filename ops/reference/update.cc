#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/reference/kernels.h"
#include "ops/reference/types.h"

namespace reef::ops::reference {

namespace {

/// The tensors of one parameter. All may be of different dtypes, so elements are read as double.
struct Parameter {
  const Tensor& gradient;
  const Tensor& master;
  const Tensor* first;    ///< state
  const Tensor* second;   ///< or null
  const Tensor* weights;  ///< to publish, or null
  double decay;           ///< weight decay, 0 where it is turned off

  std::int64_t elements() const { return gradient.elements(); }
};

/// Calls body(parameter) for each; `states` is how many of a kind stand behind the masters.
template <typename Body>
void for_parameters(const Call& call, std::size_t states, const Body& body) {
  const std::size_t count = call.in.size();
  const Update& factors = call.attributes.update;
  for (std::size_t i = 0; i < count; ++i) {
    const bool publishes = call.out.size() == (2 + states) * count;
    body(Parameter{call.in[i], call.out[i], &call.out[count + i],
                   states > 1 ? &call.out[2 * count + i] : nullptr,
                   publishes ? &call.out[(1 + states) * count + i] : nullptr,
                   factors.decays(i) ? static_cast<double>(factors.weight_decay) : 0});
  }
}

/// Writes an element of the master and, rounded from what stands there, of the published weights.
void store(const Parameter& p, std::int64_t i, double value) {
  set(p.master, i, value);
  if (p.weights != nullptr) set(*p.weights, i, get(p.master, i));
}

}  // namespace

// Loshchilov and Hutter 2019, arXiv 1711.05101, as torch.optim.AdamW.
void adamw(const Call& call) {
  const Update& f = call.attributes.update;
  const double beta1 = f.beta1;
  const double beta2 = f.beta2;
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(f.step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(f.step));
  for_parameters(call, 2, [&](const Parameter& p) {
    for (std::int64_t i = 0; i < p.elements(); ++i) {
      const double g = get(p.gradient, i) * f.grad_scale;
      const double mean = beta1 * get(*p.first, i) + (1 - beta1) * g;
      const double square = beta2 * get(*p.second, i) + (1 - beta2) * g * g;
      const double step =
          f.lr * (mean / correction1) / (std::sqrt(square / correction2) + f.epsilon);
      set(*p.first, i, mean);
      set(*p.second, i, square);
      store(p, i, get(p.master, i) * (1 - f.lr * p.decay) - step);
    }
  });
}

// As torch.optim.SGD: decay is part of the gradient; no dampening.
void sgd(const Call& call) {
  const Update& f = call.attributes.update;
  const double momentum = f.beta1;
  for_parameters(call, 1, [&](const Parameter& p) {
    for (std::int64_t i = 0; i < p.elements(); ++i) {
      const double g = get(p.gradient, i) * f.grad_scale + p.decay * get(p.master, i);
      const double moving = momentum * get(*p.first, i) + g;
      const double step = f.nesterov ? g + momentum * moving : moving;
      set(*p.first, i, moving);
      store(p, i, get(p.master, i) - f.lr * step);
    }
  });
}

// Chen et al. 2023, arXiv 2302.06675, algorithm 2.
void lion(const Call& call) {
  const Update& f = call.attributes.update;
  const double beta1 = f.beta1;
  const double beta2 = f.beta2;
  for_parameters(call, 1, [&](const Parameter& p) {
    for (std::int64_t i = 0; i < p.elements(); ++i) {
      const double g = get(p.gradient, i) * f.grad_scale;
      const double momentum = get(*p.first, i);
      const double mixed = beta1 * momentum + (1 - beta1) * g;
      const double direction = mixed > 0 ? 1 : mixed < 0 ? -1 : mixed;
      set(*p.first, i, beta2 * momentum + (1 - beta2) * g);
      store(p, i, get(p.master, i) * (1 - f.lr * p.decay) - f.lr * direction);
    }
  });
}

namespace {

/// Moves element `i` of a second moment towards `now` by 1 - beta2; returns what stands there.
double decay_into(const Tensor& state, std::size_t i, double beta2, double now) {
  const auto at = static_cast<std::int64_t>(i);
  set(state, at, beta2 * get(state, at) + (1 - beta2) * now);
  return get(state, at);
}

/// Of a matrix (algorithm 4): sums over rows and over columns are kept, and their outer product
/// over the sum of all estimates each element. Squares come in, estimates go out.
void factored_moments(const Parameter& p, double beta2, std::vector<double>& squares) {
  std::vector<double> rows(static_cast<std::size_t>(p.first->elements()));
  std::vector<double> columns(static_cast<std::size_t>(p.second->elements()));
  for (std::size_t i = 0; i < squares.size(); ++i) {
    rows[i / columns.size()] += squares[i];
    columns[i % columns.size()] += squares[i];
  }
  double total = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = decay_into(*p.first, i, beta2, rows[i]);
    total += rows[i];
  }
  for (std::size_t j = 0; j < columns.size(); ++j) {
    columns[j] = decay_into(*p.second, j, beta2, columns[j]);
  }
  for (std::size_t i = 0; i < squares.size(); ++i) {
    squares[i] = rows[i / columns.size()] * columns[i % columns.size()] / total;
  }
}

/// g / sqrt(second moment) of every element. Of a vector every moment is kept (algorithm 5).
std::vector<double> scaled_gradient(const Parameter& p, const Update& f, double beta2) {
  std::vector<double> moments(static_cast<std::size_t>(p.elements()));
  const auto gradient = [&](std::size_t i) {
    return get(p.gradient, static_cast<std::int64_t>(i)) * f.grad_scale;
  };
  for (std::size_t i = 0; i < moments.size(); ++i) {
    moments[i] = gradient(i) * gradient(i) + f.epsilon;
  }
  if (p.gradient.shape().rank() >= 2) {
    factored_moments(p, beta2, moments);
  } else {
    for (std::size_t i = 0; i < moments.size(); ++i) {
      moments[i] = decay_into(*p.first, i, beta2, moments[i]);
    }
  }
  for (std::size_t i = 0; i < moments.size(); ++i) moments[i] = gradient(i) / std::sqrt(moments[i]);
  return moments;
}

}  // namespace

// Shazeer and Stern 2018, arXiv 1804.04235: no momentum, lr is the step size, decay as AdamW's.
void adafactor(const Call& call) {
  const Update& f = call.attributes.update;
  const double beta2 = 1 - std::pow(static_cast<double>(f.step), -0.8);
  for_parameters(call, 2, [&](const Parameter& p) {
    const std::vector<double> step = scaled_gradient(p, f, beta2);
    double squares = 0;
    for (const double value : step) squares += value * value;
    const double mean_square = squares / static_cast<double>(step.size());
    const double clip = std::max(1.0, std::sqrt(mean_square));
    for (std::size_t i = 0; i < step.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      store(p, at, get(p.master, at) * (1 - f.lr * p.decay) - f.lr * step[i] / clip);
    }
  });
}

}  // namespace reef::ops::reference
