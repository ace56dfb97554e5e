// Reductions, scans, optimizer updates and pooling against plain loops, with any tiling and any
// instruction set for the same bits.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "ops/tensor/convert.h"
#include "ops/tensor/dtype.h"
#include "tests/unit/ops/isa_support.h"

namespace reef::ops {
namespace {

using cpu::Element;
using cpu::Fold;
using cpu::Index;
using cpu::Reduction;
using cpu::Scan;
using testing::equal_bits;
using testing::instruction_sets;

struct Extents {
  Index outer, n, inner;
  Index elements() const { return outer * n * inner; }
};
const Extents kExtents[] = {{1, 1, 1},   {3, 1, 5},    {1, 15, 1},  {7, 16, 1},    {2, 17, 1},
                            {5, 513, 1}, {1, 2049, 1}, {1, 40, 16}, {3, 33, 17},   {2, 9, 700},
                            {1, 5, 513}, {600, 3, 1},  {4, 0, 3},   {2, 1000, 30}, {1, 0, 1}};
const Element kElements[] = {Element::kF32, Element::kBF16, Element::kF16,
                             Element::kF64, Element::kI32,  Element::kI64};

/// Memory of an element type, read and written as doubles by other code than the kernels'.
struct Values {
  Element element;
  std::vector<std::byte> bytes;
  Values(Element element, Index count)
      : element(element),
        bytes(static_cast<std::size_t>(count) * size_of(static_cast<DType>(element))) {}
  double get(Index i) const {
    return element_as_double(static_cast<DType>(element), bytes.data(), i);
  }
  void set(Index i, double value) {
    set_element(static_cast<DType>(element), bytes.data(), i, value);
  }
};

/// Small multiples of 1/4: sums of them are exact in double, so every order gives the same.
Values quarters(Element element, Index count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const bool whole = !is_floating(static_cast<DType>(element));
  Values values(element, count);
  for (Index i = 0; i < count; ++i) {
    const double drawn = static_cast<double>(random() % 81) - 40;
    values.set(i, whole ? drawn : drawn / 4);
  }
  return values;
}

double folded(Fold fold, double a, double x, Index k, Index& index) {
  switch (fold) {
    case Fold::kSum:
      return a + x;
    case Fold::kSquareSum:
      return a + x * x;
    case Fold::kMinimum:
      return k == 0 || x < a ? x : a;
    default:
      if (k == 0 || x > a) index = k;
      return k == 0 || x > a ? x : a;
  }
}

/// By the definition, one element after another.
Values plain_reduction(Fold fold, const Values& x, const Extents& extents, Element out_element) {
  Values out(out_element, extents.outer * extents.inner);
  for (Index o = 0; o < extents.outer; ++o) {
    for (Index i = 0; i < extents.inner; ++i) {
      double result = 0;
      Index index = 0;
      for (Index k = 0; k < extents.n; ++k) {
        const double value = x.get((o * extents.n + k) * extents.inner + i);
        result = folded(fold, result, value, k, index);
      }
      out.set(o * extents.inner + i,
              fold == Fold::kArgMaximum ? static_cast<double>(index) : result);
    }
  }
  return out;
}

Reduction reduction_of(const Values& x, Values& out, const Extents& extents) {
  Reduction op;
  op.element = x.element;
  op.out_element = out.element;
  op.x = x.bytes.data();
  op.out = out.bytes.data();
  op.outer = extents.outer;
  op.n = extents.n;
  op.inner = extents.inner;
  return op;
}

void expect_reduces(Fold fold, Element element, const Extents& extents) {
  const bool extremum = fold != Fold::kSum && fold != Fold::kSquareSum;
  if (extents.n == 0 && extremum) return;
  const Values x = quarters(element, extents.elements(), 3);
  Element out_element = element;
  if (fold == Fold::kArgMaximum) out_element = Element::kI32;
  if (fold == Fold::kSquareSum) out_element = Element::kF64;
  const Values expected = plain_reduction(fold, x, extents, out_element);
  const Index count = extents.outer * extents.inner;
  for (const auto& set : instruction_sets()) {
    for (const Index tile : {Index{1}, Index{7}, Index{100}, Index{100'000}}) {
      Values out(out_element, count);
      const Reduction op = reduction_of(x, out, extents);
      for (Index first = 0; first < count; first += tile) {
        set.reduction.run(fold, op, first, std::min(tile, count - first));
      }
      EXPECT_EQ(out.bytes, expected.bytes)
          << set.name << ", fold " << static_cast<int>(fold) << ", element type "
          << static_cast<int>(element) << ", (" << extents.outer << ", " << extents.n << ", "
          << extents.inner << ") by " << tile;
    }
  }
}

TEST(FoldKernels, ReduceRowsColumnsAndMiddleAxes) {
  for (const Extents& extents : kExtents) {
    for (const Element element : kElements) {
      for (const Fold fold :
           {Fold::kSum, Fold::kSquareSum, Fold::kMaximum, Fold::kMinimum, Fold::kArgMaximum}) {
        expect_reduces(fold, element, extents);
      }
    }
  }
}

TEST(FoldKernels, SumsOfFloatsThatRoundHaveTheSameBitsEverywhere) {
  std::mt19937_64 random(9);
  std::normal_distribution<double> normal;
  for (const Extents& extents : {Extents{5, 3001, 1}, Extents{2, 301, 37}}) {
    Values x(Element::kF64, extents.elements());
    for (Index i = 0; i < extents.elements(); ++i) x.set(i, normal(random));
    std::vector<Values> results;
    for (const auto& set : instruction_sets()) {
      results.emplace_back(Element::kF64, extents.outer * extents.inner);
      const Reduction op = reduction_of(x, results.back(), extents);
      set.reduction.run(Fold::kSum, op, 0, extents.outer * extents.inner);
    }
    for (const Values& result : results) EXPECT_EQ(result.bytes, results[0].bytes);
  }
}

TEST(FoldKernels, NanIsTheGreatestAndTheLeast) {
  for (const Extents& extents : {Extents{1, 100, 1}, Extents{1, 100, 3}}) {
    Values x = quarters(Element::kF32, extents.elements(), 1);
    for (Index i = 0; i < extents.inner; ++i) x.set(41 * extents.inner + i, NAN);
    for (Index i = 0; i < extents.inner; ++i) x.set(77 * extents.inner + i, NAN);
    Values value(Element::kF32, extents.inner);
    Values index(Element::kI64, extents.inner);
    const auto& kernels = cpu::reduction_kernels();
    for (const Fold fold : {Fold::kMaximum, Fold::kMinimum}) {
      kernels.run(fold, reduction_of(x, value, extents), 0, extents.inner);
      EXPECT_TRUE(std::isnan(value.get(0)));
    }
    kernels.run(Fold::kArgMaximum, reduction_of(x, index, extents), 0, extents.inner);
    EXPECT_EQ(index.get(extents.inner - 1), 41);
  }
}

void expect_scans(Element element, const Extents& extents, bool reverse) {
  const Values x = quarters(element, extents.elements(), 5);
  Values expected(element, extents.elements());
  for (Index o = 0; o < extents.outer; ++o) {
    for (Index i = 0; i < extents.inner; ++i) {
      double sum = 0;
      for (Index k = 0; k < extents.n; ++k) {
        const Index row = reverse ? extents.n - 1 - k : k;
        const Index at = (o * extents.n + row) * extents.inner + i;
        expected.set(at, sum += x.get(at));
      }
    }
  }
  const Index lines = extents.outer * extents.inner;
  for (const auto& set : instruction_sets()) {
    for (const Index tile : {Index{1}, Index{19}, Index{100'000}}) {
      Values out = x;  // in place
      const Scan op{element,   out.bytes.data(), out.bytes.data(), extents.outer,
                    extents.n, extents.inner,    reverse};
      for (Index first = 0; first < lines; first += tile) {
        set.scan.run(op, first, std::min(tile, lines - first));
      }
      EXPECT_EQ(out.bytes, expected.bytes)
          << set.name << ", element type " << static_cast<int>(element) << ", (" << extents.outer
          << ", " << extents.n << ", " << extents.inner << ") by " << tile;
    }
  }
}

TEST(FoldKernels, FirstAboveFindsEveryGreaterElementInTurn) {
  for (const Element element : {Element::kF32, Element::kBF16, Element::kF16, Element::kF64}) {
    for (const Index n : {1, 15, 16, 17, 130}) {
      Values x = quarters(element, n, 5);
      x.set(n / 2, NAN);
      for (const double bar : {-100.0, 0.0, 6.25, 100.0, static_cast<double>(INFINITY)}) {
        std::vector<Index> expected;
        for (Index i = 0; i < n; ++i) {
          if (x.get(i) > bar || std::isnan(x.get(i))) expected.push_back(i);
        }
        expected.push_back(n);
        for (const auto& set : instruction_sets()) {
          std::vector<Index> found;
          for (Index from = 0; found.empty() || found.back() < n; from = found.back() + 1) {
            found.push_back(set.reduction.first_above(element, x.bytes.data(), from, n, bar));
          }
          EXPECT_EQ(found, expected) << set.name << ", " << n << " elements above " << bar;
          EXPECT_EQ(set.reduction.first_above(element, x.bytes.data(), 0, n, NAN), n);
        }
      }
    }
  }
}

TEST(FoldKernels, ScanFromEitherEnd) {
  for (const Extents& extents : kExtents) {
    for (const Element element : kElements) {
      expect_scans(element, extents, false);
      expect_scans(element, extents, true);
    }
  }
}

/// A tensor that is updated, and the same in long double by the papers' formulas.
struct Trained {
  Values grad, master, first, second, copy;
  std::vector<double> exact, exact_first, exact_second;

  Trained(Element grad_element, Element element, Index count)
      : grad(grad_element, count),
        master(element, count),
        first(element, count),
        second(element, count),
        copy(Element::kBF16, count) {
    std::mt19937_64 random(2);
    std::normal_distribution<double> normal;
    for (Index i = 0; i < count; ++i) {
      master.set(i, normal(random));
      exact.push_back(master.get(i));
    }
    exact_first.resize(exact.size());
    exact_second.resize(exact.size());
  }
  void next_gradient(std::uint64_t step) {
    std::mt19937_64 random(step);
    std::normal_distribution<double> normal;
    for (std::size_t i = 0; i < exact.size(); ++i) grad.set(static_cast<Index>(i), normal(random));
  }
  cpu::TensorUpdate update() {
    cpu::TensorUpdate update;
    update.grad_element = grad.element;
    update.master_element = master.element;
    update.grad = grad.bytes.data();
    update.master = master.bytes.data();
    update.states[0] = first.bytes.data();
    update.states[1] = second.bytes.data();
    update.copy = copy.bytes.data();
    return update;
  }
  void expect_exact(double tolerance) const {
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const auto at = static_cast<Index>(i);
      EXPECT_NEAR(master.get(at), exact[i], tolerance * (1 + std::abs(exact[i]))) << i;
      EXPECT_EQ(copy.get(at), BF16::from(static_cast<float>(master.get(at))).value()) << i;
    }
  }
};

constexpr Index kCount = 1000;
constexpr double kScale = 0.5, kLr = 0.01, kDecay = 0.1, kBeta1 = 0.9, kBeta2 = 0.95;

template <typename Step, typename Exact>
void expect_update(const Step& step, const Exact& exact) {
  for (const auto& set : instruction_sets()) {
    for (const Element element : {Element::kF32, Element::kF64}) {
      for (const Element grad : {Element::kF32, Element::kBF16, Element::kF64}) {
        Trained tensor(grad, element, kCount);
        for (int round = 1; round <= 4; ++round) {
          tensor.next_gradient(static_cast<std::uint64_t>(round));
          const cpu::TensorUpdate update = tensor.update();
          for (const Index first : {Index{0}, Index{600}}) {
            step(set.optimizer, update, round, first, first == 0 ? 600 : kCount - 600);
          }
          for (std::size_t i = 0; i < tensor.exact.size(); ++i) {
            double g = tensor.grad.get(static_cast<Index>(i));
            if (element == Element::kF32) g = static_cast<float>(g);
            exact(round, g * kScale, tensor.exact[i], tensor.exact_first[i],
                  tensor.exact_second[i]);
          }
        }
        tensor.expect_exact(element == Element::kF32 ? 2e-6 : 1e-13);
      }
    }
  }
}

TEST(FoldKernels, AdamWFollowsTheFormula) {
  const auto correction = [](double beta, int round) { return 1 - std::pow(beta, round); };
  expect_update(
      [&](const cpu::OptimizerKernels& kernels, const cpu::TensorUpdate& update, int round,
          Index first, Index count) {
        const primitive::AdamWFactors factors{kScale,
                                              1 - kLr * kDecay,
                                              kBeta1,
                                              1 - kBeta1,
                                              kBeta2,
                                              1 - kBeta2,
                                              1 / std::sqrt(correction(kBeta2, round)),
                                              kLr / correction(kBeta1, round),
                                              1e-8};
        kernels.adamw(factors, update, first, count);
      },
      [&](int round, double g, double& value, double& mean, double& square) {
        mean = kBeta1 * mean + (1 - kBeta1) * g;
        square = kBeta2 * square + (1 - kBeta2) * g * g;
        value -= kLr * kDecay * value;
        value -= kLr * (mean / correction(kBeta1, round)) /
                 (std::sqrt(square / correction(kBeta2, round)) + 1e-8);
      });
}

TEST(FoldKernels, SgdFollowsTheFormulaWithAndWithoutNesterov) {
  for (const bool nesterov : {false, true}) {
    expect_update(
        [nesterov](const cpu::OptimizerKernels& kernels, const cpu::TensorUpdate& update, int,
                   Index first, Index count) {
          kernels.sgd({kScale, kLr, kDecay, kBeta1, nesterov}, update, first, count);
        },
        [nesterov](int, double g, double& value, double& momentum, double&) {
          g += kDecay * value;
          momentum = kBeta1 * momentum + g;
          value -= kLr * (nesterov ? g + kBeta1 * momentum : momentum);
        });
  }
}

TEST(FoldKernels, LionFollowsTheFormula) {
  expect_update(
      [](const cpu::OptimizerKernels& kernels, const cpu::TensorUpdate& update, int, Index first,
         Index count) {
        kernels.lion({kScale, 1 - kLr * kDecay, kLr, kBeta1, 1 - kBeta1, kBeta2, 1 - kBeta2},
                     update, first, count);
      },
      [](int, double g, double& value, double& momentum, double&) {
        const double mixed = kBeta1 * momentum + (1 - kBeta1) * g;
        value = value * (1 - kLr * kDecay) - kLr * (mixed > 0 ? 1 : mixed < 0 ? -1 : 0);
        momentum = kBeta2 * momentum + (1 - kBeta2) * g;
      });
}

/// The parts of two tiles of a (9, 700) parameter after one update: states, step, master and copy.
template <typename T>
std::vector<double> factored_step(const cpu::AdafactorKernels& kernels, Element element) {
  constexpr Index kRows = 9;
  constexpr Index kColumns = 700;
  Values grad(Element::kBF16, kRows * kColumns), copy(Element::kBF16, kRows * kColumns);
  for (Index i = 0; i < kRows * kColumns; ++i) grad.set(i, std::sin(static_cast<double>(i)));
  std::vector<T> master(kRows * kColumns, T(0.5)), rows(kRows, T(0.25)), columns(kColumns, T(0.25));
  const cpu::FactoredUpdate update{grad.element, element,           copy.element,
                                   kColumns,     grad.bytes.data(), master.data(),
                                   rows.data(),  columns.data(),    copy.bytes.data()};
  const primitive::AdafactorFactors factors{0.5, 0.99, 0.75, 0.25, 1e-30};
  const cpu::FactoredTile tiles[] = {{0, 5, 0, kColumns}, {5, 4, 0, kColumns}};
  std::vector<double> sums(2 * kColumns), result;
  for (int k = 0; k < 2; ++k) {
    kernels.add_squares(factors, update, tiles[k], sums.data() + k * kColumns);
  }
  kernels.move_columns(factors, update, 0, 333, sums.data(), 2);
  kernels.move_columns(factors, update, 333, kColumns - 333, sums.data(), 2);
  const double total = std::accumulate(rows.begin(), rows.end(), 0.0);
  for (const cpu::FactoredTile& tile : tiles) {
    result.push_back(kernels.square_steps(factors, update, tile, total));
    kernels.step(factors, update, tile, total, 0.125);
  }
  result.insert(result.end(), rows.begin(), rows.end());
  result.insert(result.end(), columns.begin(), columns.end());
  result.insert(result.end(), master.begin(), master.end());
  for (Index i = 0; i < kRows * kColumns; ++i) result.push_back(copy.get(i));
  return result;
}

TEST(FoldKernels, AdafactorHasTheSameBitsOnAllInstructionSets) {
  const auto sets = instruction_sets();
  const auto single = factored_step<float>(sets[0].adafactor, Element::kF32);
  const auto wide = factored_step<double>(sets[0].adafactor, Element::kF64);
  // Of the same step, so that a set that does nothing is not equal to another.
  EXPECT_NEAR(single[0], wide[0], 1e-5 * wide[0]);
  for (const auto& set : sets) {
    EXPECT_TRUE(equal_bits(single, factored_step<float>(set.adafactor, Element::kF32)));
    EXPECT_TRUE(equal_bits(wide, factored_step<double>(set.adafactor, Element::kF64)));
  }
}

/// All four results of pooling a plane of 9 x 300.
std::vector<float> pooled(const cpu::PoolKernels& kernels) {
  const cpu::PoolWindow window{{3, 3}, {2, 1}, {1, 1}, {1, 2}};
  std::vector<float> x(9 * 300), y(5 * 298), means(5 * 298), grads[2], sums(x.size());
  std::vector<std::int32_t> places(y.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  const auto plane = [](std::vector<float>& values, Index height, Index width) {
    return cpu::Plane{Element::kF32, values.data(), height, width, width, 1};
  };
  const cpu::Plane at{Element::kI32, places.data(), 5, 298, 298, 1};
  kernels.maximum(window, plane(x, 9, 300), plane(y, 5, 298), at);
  kernels.mean(window, plane(x, 9, 300), plane(means, 5, 298));
  for (auto& grad : grads) grad.resize(x.size());
  EXPECT_TRUE(kernels.maximum_grad(at, plane(y, 5, 298), plane(grads[0], 9, 300), sums.data()));
  kernels.mean_grad(window, plane(y, 5, 298), plane(grads[1], 9, 300), sums.data());
  places[7] = 9 * 300;
  EXPECT_FALSE(kernels.maximum_grad(at, plane(y, 5, 298), plane(x, 9, 300), sums.data()));
  for (const auto& more : {means, grads[0], grads[1]}) y.insert(y.end(), more.begin(), more.end());
  return y;
}

TEST(FoldKernels, PoolingHasTheSameBitsOnAllInstructionSets) {
  const auto sets = instruction_sets();
  for (const auto& set : sets) EXPECT_TRUE(equal_bits(pooled(sets[0].pool), pooled(set.pool)));
}

}  // namespace
}  // namespace reef::ops
