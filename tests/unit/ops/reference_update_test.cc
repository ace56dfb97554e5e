// The plain optimizers: three steps of each against the rule written out for one number.

#include <gtest/gtest.h>

#include "tests/unit/ops/values.h"

namespace reef::ops {
namespace {

using namespace testing;

constexpr DType kFloating[] = {DType::kF32, DType::kF64, DType::kBF16, DType::kF16};
constexpr double kGradients[] = {2, -0.75, 1};  // exact in every dtype

/// Runs `update` on one number for three steps; `rule(weight, gradient, step)` is what to expect.
template <typename Optimizer, typename Rule>
void expect_steps(const Optimizer& update, std::size_t states, Update factors, const Rule& make) {
  Reference context;
  for (const DType dtype : kFloating) {
    for (const DType master_dtype : {DType::kF32, kF64}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + " into " + std::string(name_of(master_dtype)));
      const Tensor master = of(master_dtype, {1}, {3});
      const Tensor first = of(master_dtype, {1}, {0});
      const Tensor second = of(master_dtype, {1}, {0});
      const Tensor published = of(DType::kBF16, {1}, {0});
      auto rule = make();
      double expected = 3;
      for (std::int64_t step = 1; step <= 3; ++step) {
        factors.step = step;
        const double gradient = kGradients[step - 1];
        const Tensor grad = of(dtype, {1}, {gradient});
        const std::span<const Tensor> seconds(&second, states > 1 ? 1 : 0);
        update(context, {{&grad, 1}, {&master, 1}, {&first, 1}, seconds, {&published, 1}}, factors);
        expected = rule(expected, gradient * factors.grad_scale, step);
        expect_values(master, {expected}, master_dtype == kF64 ? 1e-12 : 1e-6);
        EXPECT_EQ(testing::values_of(published),
                  testing::values_of(cast(context, master, DType::kBF16)));
      }
    }
  }
}

constexpr Update kFactors{.lr = 0.25f,
                          .beta1 = 0.5f,
                          .beta2 = 0.75f,
                          .epsilon = 0.125f,
                          .weight_decay = 0.5f,
                          .grad_scale = 0.5f};

TEST(ReferenceUpdate, AdamW) {
  expect_steps(adamw, 2, kFactors, [] {
    return [m = 0.0, v = 0.0](double w, double g, std::int64_t step) mutable {
      m = 0.5 * m + 0.5 * g;
      v = 0.75 * v + 0.25 * g * g;
      const double mean = m / (1 - std::pow(0.5, step));
      const double square = v / (1 - std::pow(0.75, step));
      return w - 0.25 * 0.5 * w - 0.25 * mean / (std::sqrt(square) + 0.125);
    };
  });
}

TEST(ReferenceUpdate, Sgd) {
  for (const bool nesterov : {false, true}) {
    Update factors = kFactors;
    factors.nesterov = nesterov;
    expect_steps(sgd, 1, factors, [nesterov] {
      return [nesterov, b = 0.0](double w, double g, std::int64_t) mutable {
        g += 0.5 * w;
        b = 0.5 * b + g;
        return w - 0.25 * (nesterov ? g + 0.5 * b : b);
      };
    });
  }
}

TEST(ReferenceUpdate, Lion) {
  expect_steps(lion, 1, kFactors, [] {
    return [m = 0.0](double w, double g, std::int64_t) mutable {
      const double c = 0.5 * m + 0.5 * g;
      m = 0.75 * m + 0.25 * g;
      return w - 0.25 * (std::copysign(1.0, c) + 0.5 * w);
    };
  });
  // Where nothing pulls, nothing moves.
  Reference context;
  const Tensor zero = of(kF64, {1}, {0});
  const Tensor master = of(kF64, {1}, {3});
  const Tensor momentum = of(kF64, {1}, {0});
  Update factors = kFactors;
  factors.undecayed[0] = 1;
  lion(context, {{&zero, 1}, {&master, 1}, {&momentum, 1}, {}, {}}, factors);
  expect_values(master, {3});
}

TEST(ReferenceUpdate, AdafactorOfAVector) {
  Reference context;
  const Tensor master = of(kF64, {2}, {3, -1});
  const Tensor moments = of(kF64, {2}, {0, 0});
  const Tensor none = of(kF64, {0}, {});
  std::array<double, 2> w{3, -1};
  std::array<double, 2> v{0, 0};
  for (std::int64_t step = 1; step <= 3; ++step) {
    Update factors = kFactors;
    factors.step = step;
    const std::array<double, 2> g{step == 3 ? 16.0 : 0.5, step == 3 ? -12.0 : 1.0};
    const Tensor grad = of(kF64, {2}, {g[0], g[1]});
    adafactor(context, {{&grad, 1}, {&master, 1}, {&moments, 1}, {&none, 1}, {}}, factors);
    const double beta2 = 1 - std::pow(step, -0.8);
    std::array<double, 2> u{};
    for (std::size_t i = 0; i < 2; ++i) {
      v[i] = beta2 * v[i] + (1 - beta2) * (g[i] * g[i] / 4 + 0.125);
      u[i] = g[i] / 2 / std::sqrt(v[i]);
    }
    const double size = std::sqrt((u[0] * u[0] + u[1] * u[1]) / 2);
    EXPECT_EQ(size > 1, step == 3) << "only the last update is clipped";
    for (std::size_t i = 0; i < 2; ++i) w[i] -= 0.25 * (0.5 * w[i] + u[i] / std::max(1.0, size));
    expect_values(master, {w[0], w[1]}, 1e-12);
    expect_values(moments, {v[0], v[1]}, 1e-12);
  }
}

TEST(ReferenceUpdate, AdafactorOfAMatrixKeepsRowsAndColumns) {
  Reference context;
  const Tensor master = of(kF64, {2, 2}, {0, 0, 0, 0});
  const Tensor rows = of(kF64, {2}, {0, 0});
  const Tensor columns = of(kF64, {2}, {0, 0});
  Update factors{.lr = 1, .epsilon = 0, .weight_decay = 0};
  // Squares 1 4 / 9 16: rows 5 25, columns 10 20, all 30.
  const Tensor grad = of(kF64, {2, 2}, {1, -2, 3, 4});
  adafactor(context, {{&grad, 1}, {&master, 1}, {&rows, 1}, {&columns, 1}, {}}, factors);
  expect_values(rows, {5, 25}, 1e-12);
  expect_values(columns, {10, 20}, 1e-12);
  const std::vector<double> u{1 / std::sqrt(50.0 / 30), -2 / std::sqrt(100.0 / 30),
                              3 / std::sqrt(250.0 / 30), 4 / std::sqrt(500.0 / 30)};
  double square = 0;
  for (const double value : u) square += value * value / 4;
  const double clip = std::max(1.0, std::sqrt(square));
  expect_values(master, {-u[0] / clip, -u[1] / clip, -u[2] / clip, -u[3] / clip}, 1e-12);
  // A second step of nothing leaves what is left of the moments.
  factors.step = 2;
  const Tensor zero = of(kF64, {2, 2}, {0, 0, 0, 0});
  adafactor(context, {{&zero, 1}, {&master, 1}, {&rows, 1}, {&columns, 1}, {}}, factors);
  const double left = 1 - std::pow(2, -0.8);
  expect_values(rows, {5 * left, 25 * left}, 1e-12);
  expect_values(columns, {10 * left, 20 * left}, 1e-12);
}

TEST(ReferenceUpdate, TakesManyTensorsOfWhichSomeAreNotDecayed) {
  Reference context;
  const std::vector<Tensor> grads{of(kF64, {2}, {0, 0}), of(kF64, {1, 2}, {0, 0}),
                                  of(kF64, {1}, {0})};
  const std::vector<Tensor> masters{of(kF64, {2}, {1, 2}), of(kF64, {1, 2}, {3, 4}),
                                    of(kF64, {1}, {5})};
  const std::vector<Tensor> first{of(kF64, {2}, {0, 0}), of(kF64, {1, 2}, {0, 0}),
                                  of(kF64, {1}, {0})};
  Update factors = kFactors;
  factors.undecayed[0] = 0b010;
  sgd(context, {grads, masters, first, {}, {}}, factors);
  expect_values(masters[0], {0.875, 1.75});
  expect_values(masters[1], {3, 4});
  expect_values(masters[2], {4.375});
}

}  // namespace
}  // namespace reef::ops
