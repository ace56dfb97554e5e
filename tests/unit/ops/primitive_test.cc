// The elementary functions against long double, in units in the last place; all instruction sets
// and the scalar form (as CUDA compiles it) for the same bits.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "ops/primitive/functors.h"
#include "ops/primitive/memory.h"
#include "ops/tensor/dtype.h"
#include "tests/unit/ops/isa_support.h"

namespace reef::ops {
namespace {

using cpu::Function;
using testing::apply;
using testing::equal_bits;
using testing::instruction_sets;

template <typename T>
std::vector<T> edges() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values{0,
                        1,
                        0.5,
                        2,
                        20,
                        100,
                        1000,
                        T(1e-3),
                        T(1e6),
                        T(1e10),
                        T(3.14159265358979),
                        Limits::min(),
                        Limits::denorm_min(),
                        Limits::max(),
                        Limits::infinity(),
                        Limits::epsilon(),
                        Limits::min() / 3,
                        T(88.7),
                        T(709.7),
                        T(104)};
  for (std::size_t i = values.size(); i-- > 0;) values.push_back(-values[i]);
  values.push_back(Limits::quiet_NaN());
  return values;
}

/// `count` numbers spread evenly from a to b, or evenly in the exponent.
template <typename T>
std::vector<T> spread(double a, double b, std::size_t count, bool exponential = false) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double at = static_cast<double>(i) / static_cast<double>(count - 1);
    values[i] = static_cast<T>(exponential ? a * std::pow(b / a, at) : a + (b - a) * at);
  }
  return values;
}

template <typename T>
long double ulps(T got, long double exact) {
  const T nearest = static_cast<T>(exact);
  if (std::isnan(nearest) || std::isnan(got))
    return std::isnan(nearest) == std::isnan(got) ? 0 : 1e9;
  if (std::isinf(nearest) || std::isinf(got)) return nearest == got ? 0 : 1e9;
  const long double unit = std::nextafter(std::abs(nearest), INFINITY) - std::abs(nearest);
  return std::abs(got - exact) / unit;
}

struct Case {
  Function function;
  std::function<long double(long double)> exact;
  double from, to;
  bool exponential;
  double float_ulps, double_ulps;
};

const Case kCases[] = {
    {Function::kExp, [](long double x) { return std::exp(x); }, -110, 90, false, 2, 2},
    {Function::kExp, [](long double x) { return std::exp(x); }, -750, 710, false, 2, 2},
    {Function::kLog, [](long double x) { return std::log(x); }, 1e-44, 1e38, true, 2, 2},
    {Function::kLog, [](long double x) { return std::log(x); }, 0.5, 2, false, 2, 2},
    {Function::kTanh, [](long double x) { return std::tanh(x); }, -12, 12, false, 4, 4},
    {Function::kTanh, [](long double x) { return std::tanh(x); }, 1e-30, 1, true, 4, 4},
    {Function::kSigmoid, [](long double x) { return 1 / (1 + std::exp(-x)); }, -100, 100, false, 3,
     3},
    {Function::kErf, [](long double x) { return std::erf(x); }, -6.5, 6.5, false, 3, 3},
    {Function::kErf, [](long double x) { return std::erf(x); }, 1e-30, 1, true, 3, 3},
    {Function::kSin, [](long double x) { return std::sin(x); }, -20, 20, false, 2, 2},
    {Function::kCos, [](long double x) { return std::cos(x); }, -20, 20, false, 2, 2},
    {Function::kSin, [](long double x) { return std::sin(x); }, 1e-20, 1e18, true, 2, 3},
    {Function::kCos, [](long double x) { return std::cos(x); }, 1e-20, 1e18, true, 2, 3},
    {Function::kRsqrt, [](long double x) { return 1 / std::sqrt(x); }, 1e-37, 1e38, true, 1.5, 1.5},
    {Function::kSqrt, [](long double x) { return std::sqrt(x); }, 1e-37, 1e38, true, 0.51, 0.51},
};

template <typename T>
void expect_accuracy(double Case::*bound) {
  for (const Case& function : kCases) {
    std::vector<T> x = spread<T>(function.from, function.to, 200'003, function.exponential);
    const auto special = edges<T>();
    x.insert(x.end(), special.begin(), special.end());
    const std::vector<T> y = apply<T>(cpu::pointwise_kernels(), function.function, {x});
    long double worst = 0;
    T where = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const long double error = ulps(y[i], function.exact(x[i]));
      if (error > worst) where = x[i];
      worst = std::max(worst, error);
    }
    EXPECT_LE(worst, function.*bound)
        << "function " << static_cast<int>(function.function) << " at " << where;
  }
}

TEST(Primitive, FloatFunctionsAreAccurate) { expect_accuracy<float>(&Case::float_ulps); }
TEST(Primitive, DoubleFunctionsAreAccurate) { expect_accuracy<double>(&Case::double_ulps); }

TEST(Primitive, BoundedExponentialIsAccurateWhereItIsNotZero) {
  double worst = 0;
  for (const float x : spread<float>(-87.3, 88.3, 1 << 20)) {
    const float got = primitive::exp_bounded(x);
    worst = std::max(worst, static_cast<double>(ulps(got, std::exp(static_cast<long double>(x)))));
  }
  EXPECT_LE(worst, 2.0);
  EXPECT_EQ(primitive::exp_bounded(-88.0f), 0.0f);
  EXPECT_EQ(primitive::exp_bounded(-std::numeric_limits<float>::infinity()), 0.0f);
  EXPECT_EQ(primitive::exp_bounded(0.0f), 1.0f);
  EXPECT_LT(primitive::exp_bounded(1000.0f), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(primitive::exp_bounded(std::numeric_limits<float>::quiet_NaN())));
}

/// The function as CUDA compiles it: over one scalar at a time.
template <typename F, typename T>
std::vector<T> one_by_one(F f, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = f(x[i]);
  return y;
}

template <typename F, typename T>
void expect_same_everywhere(Function function, F f, const std::vector<T>& x) {
  const std::vector<T> expected = one_by_one(f, x);
  for (const auto& set : instruction_sets()) {
    EXPECT_TRUE(equal_bits(apply<T>(set.pointwise, function, {x}), expected))
        << set.name << ", function " << static_cast<int>(function);
  }
}

template <typename T>
void expect_functions_same_everywhere() {
  namespace functor = primitive;
  std::vector<T> x = spread<T>(-30, 30, 10'001);
  for (const auto& more : {spread<T>(1e-30, 1e30, 10'001, true), edges<T>()}) {
    x.insert(x.end(), more.begin(), more.end());
  }
  expect_same_everywhere(Function::kExp, functor::Exp{}, x);
  expect_same_everywhere(Function::kLog, functor::Log{}, x);
  expect_same_everywhere(Function::kTanh, functor::Tanh{}, x);
  expect_same_everywhere(Function::kSigmoid, functor::Sigmoid{}, x);
  expect_same_everywhere(Function::kErf, functor::Erf{}, x);
  expect_same_everywhere(Function::kSin, functor::Sin{}, x);
  expect_same_everywhere(Function::kCos, functor::Cos{}, x);
  expect_same_everywhere(Function::kSqrt, functor::Sqrt{}, x);
  expect_same_everywhere(Function::kRsqrt, functor::Rsqrt{}, x);
  expect_same_everywhere(Function::kGelu, functor::Gelu{}, x);
  expect_same_everywhere(Function::kSilu, functor::Silu{}, x);
  expect_same_everywhere(Function::kAbs, functor::Abs{}, x);
  expect_same_everywhere(Function::kSign, functor::Sign{}, x);
}

TEST(Primitive, LanesAndScalarsHaveTheSameBits) {
  expect_functions_same_everywhere<float>();
  expect_functions_same_everywhere<double>();
}

// Every f16 there is; floats around every rounding boundary.
TEST(Primitive, HalfFloatsConvertAsIeeeSays) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float expected = F16{half}.value();
    const float got = primitive::to_value(primitive::F16{half});
    EXPECT_TRUE(got == expected || (std::isnan(got) && std::isnan(expected))) << bits;
    const float brain = primitive::to_value(primitive::BF16{half});
    EXPECT_TRUE(brain == BF16{half}.value() || std::isnan(brain)) << bits;
    for (const int nudge : {-1, 0, 1}) {
      for (const std::uint32_t within : {0u, 0x1000u, 0x0800u}) {
        const std::uint32_t start = std::bit_cast<std::uint32_t>(expected) + within;
        const float x = std::bit_cast<float>(start + static_cast<std::uint32_t>(nudge));
        if (std::isnan(x)) continue;
        EXPECT_EQ(primitive::from_value<primitive::F16>(x).bits, F16::from(x).bits) << x;
        EXPECT_EQ(primitive::from_value<primitive::BF16>(x).bits, BF16::from(x).bits) << x;
      }
    }
  }
  const auto nan = primitive::from_value<primitive::F16>(NAN);
  EXPECT_TRUE(std::isnan(F16{nan.bits}.value()));
}

}  // namespace
}  // namespace reef::ops
