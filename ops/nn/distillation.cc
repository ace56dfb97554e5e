#include "ops/nn/distillation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/base/check.h"

namespace reef::nn {
namespace {

/// Of the lump of all others: below it, their logarithm and its derivative would be noise.
constexpr double kLeast = 1e-12;

/// p log(p / q), of which nothing is left where p is 0.
double divergence(double p, double q) {
  return p > 0 ? p * (std::log(p) - std::log(std::max(q, kLeast))) : 0;
}

/// One row of logits against one target; adds to the row's gradient.
double distil_row(std::span<const float> logits, const SoftTarget& target, double temperature,
                  double scale, std::span<float> gradient) {
  const auto inverse = static_cast<float>(1 / temperature);
  const float greatest = *std::ranges::max_element(logits);
  std::vector<float> student(logits.size());
  double total = 0;
  for (std::size_t v = 0; v < logits.size(); ++v) {
    student[v] = std::exp((logits[v] - greatest) * inverse);
    total += double{student[v]};
  }
  double said = 0, ours = 0, loss = 0;
  for (std::size_t i = 0; i < target.tokens.size(); ++i) {
    const auto token = static_cast<std::size_t>(target.tokens[i]);
    const double p = double{target.probabilities[i]}, q = double{student[token]} / total;
    said += p;
    ours += q;
    loss += divergence(p, q);
  }
  const double lump = std::max(0.0, 1 - said), rest = std::max(kLeast, 1 - ours);
  loss += divergence(lump, rest);
  // d KL / d logit: q - p of what was said, and of each other its share of rest - lump.
  const double factor = scale * temperature;
  const auto others = static_cast<float>(factor / total * (1 - lump / rest));
  std::size_t next = 0;
  for (std::size_t v = 0; v < student.size(); ++v) {
    if (next < target.tokens.size() && static_cast<std::size_t>(target.tokens[next]) == v) {
      const double q = double{student[v]} / total;
      gradient[v] += static_cast<float>(factor * (q - double{target.probabilities[next]}));
      ++next;
    } else {
      gradient[v] += student[v] * others;
    }
  }
  return temperature * temperature * loss;
}

}  // namespace

double distil(ops::Context& context, const ops::Tensor& logits, std::span<const SoftTarget> targets,
              double temperature, double scale, const ops::Tensor& grad_logits) {
  const auto columns = static_cast<std::size_t>(logits.shape().back());
  const auto rows = static_cast<std::size_t>(logits.elements()) / columns;
  const std::span<const float> values = logits.values<float>();
  const std::span<float> gradients = grad_logits.values<float>();
  CHECK_EQ(values.size(), gradients.size());
  std::vector<double> losses(targets.size());
  ops::for_each_on_host(context, targets.size(), [&](std::size_t i) {
    const SoftTarget& target = targets[i];
    CHECK(target.position < rows) << target.position;
    losses[i] = distil_row(values.subspan(target.position * columns, columns), target, temperature,
                           scale, gradients.subspan(target.position * columns, columns));
  });
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return sum;
}

}  // namespace reef::nn
