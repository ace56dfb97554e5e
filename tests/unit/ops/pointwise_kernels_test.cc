// The elementwise kernels: each function against a plain formula in every element type; random
// layouts against a plain loop; any tiling and any instruction set for the same bits.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "ops/tensor/convert.h"
#include "ops/tensor/dtype.h"
#include "tests/unit/ops/isa_support.h"

namespace reef::ops {
namespace {

using cpu::Element;
using cpu::Function;
using cpu::Index;
using cpu::Pointwise;
using testing::core_of;
using testing::instruction_sets;

using Formula = std::function<double(double, double, double)>;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double gelu_gate(double x) { return sigmoid(2 * 0.7978845608028654 * (x + 0.044715 * x * x * x)); }
double gelu(double x) { return x < -100 ? 0 : x * gelu_gate(x); }
double gelu_slope(double x) {
  if (std::abs(x) > 100) return x > 0;
  const double gate = gelu_gate(x);
  return gate + x * gate * (1 - gate) * 2 * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
}
double silu_slope(double x) {
  if (std::abs(x) > 1000) return x > 0;
  return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
}
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double greatest(double a, double b) { return std::isnan(a) || a > b ? a : b; }
double least(double a, double b) { return std::isnan(a) || a < b ? a : b; }

struct Case {
  Function function;
  int inputs;
  Formula formula;
  Formula second = nullptr;  ///< of a second output
};

using D = double;
const Case kFloating[] = {
    {Function::kExp, 1, [](D x, D, D) { return std::exp(x); }},
    {Function::kLog, 1, [](D x, D, D) { return std::log(x); }},
    {Function::kSqrt, 1, [](D x, D, D) { return std::sqrt(x); }},
    {Function::kRsqrt, 1, [](D x, D, D) { return 1 / std::sqrt(x); }},
    {Function::kTanh, 1, [](D x, D, D) { return std::tanh(x); }},
    {Function::kSigmoid, 1, [](D x, D, D) { return sigmoid(x); }},
    {Function::kErf, 1, [](D x, D, D) { return std::erf(x); }},
    {Function::kSin, 1, [](D x, D, D) { return std::sin(x); }},
    {Function::kCos, 1, [](D x, D, D) { return std::cos(x); }},
    {Function::kGelu, 1, [](D x, D, D) { return gelu(x); }},
    {Function::kSilu, 1, [](D x, D, D) { return x * sigmoid(x); }},
    {Function::kAffine, 1, [](D x, D, D) { return x * 1.5 + -0.25; }},
    {Function::kDiv, 2, [](D a, D b, D) { return a / b; }},
    {Function::kGeluGrad, 2, [](D x, D grad, D) { return grad * gelu_slope(x); }},
    {Function::kSiluGrad, 2, [](D x, D grad, D) { return grad * silu_slope(x); }},
    {Function::kSwiGlu, 2, [](D gate, D up, D) { return gate * sigmoid(gate) * up; }},
    {Function::kGeluAndGrad, 2, [](D x, D, D) { return gelu(x); },
     [](D x, D grad, D) { return grad * gelu_slope(x); }},
    {Function::kSwiGluGrad, 3, [](D gate, D up, D grad) { return grad * up * silu_slope(gate); },
     [](D gate, D, D grad) { return grad * (gate * sigmoid(gate)); }},
};
const Case kNumeric[] = {
    {Function::kCopy, 1, [](D x, D, D) { return x; }},
    {Function::kNeg, 1, [](D x, D, D) { return -x; }},
    {Function::kAbs, 1, [](D x, D, D) { return std::abs(x); }},
    {Function::kSign, 1, [](D x, D, D) { return sign(x); }},
    {Function::kSquare, 1, [](D x, D, D) { return x * x; }},
    {Function::kRelu, 1, [](D x, D, D) { return x < 0 ? 0 : x; }},
    {Function::kAdd, 2, [](D a, D b, D) { return a + b; }},
    {Function::kSub, 2, [](D a, D b, D) { return a - b; }},
    {Function::kMul, 2, [](D a, D b, D) { return a * b; }},
    {Function::kMaximum, 2, [](D a, D b, D) { return greatest(a, b); }},
    {Function::kMinimum, 2, [](D a, D b, D) { return least(a, b); }},
    {Function::kEqual, 2, [](D a, D b, D) { return a == b; }},
    {Function::kLess, 2, [](D a, D b, D) { return a < b; }},
    {Function::kLessEqual, 2, [](D a, D b, D) { return a <= b; }},
    {Function::kWhere, 3, [](D c, D a, D b) { return c != 0 ? a : b; }},
};

/// Memory of one element type, read and written as doubles by other code than the kernels'.
struct Memory {
  Element element;
  std::vector<std::byte> bytes;

  Memory(Element element, std::size_t count)
      : element(element), bytes(count * size_of(static_cast<DType>(element))) {}
  double get(Index i) const {
    return element_as_double(static_cast<DType>(element), bytes.data(), i);
  }
  void set(Index i, double value) {
    set_element(static_cast<DType>(element), bytes.data(), i, value);
  }
};

struct Precision {
  double relative, absolute;
};
Precision precision_of(Element element) {
  switch (element) {
    case Element::kF32:
      return {4e-6, 1e-37};
    case Element::kBF16:
      return {1.0 / 256, 1e-37};
    case Element::kF16:
      return {1.0 / 1024, 1.0 / (1 << 24)};
    case Element::kF64:
      return {1e-13, 1e-300};
    default:
      return {0, 0};
  }
}

bool is_floating(Element element) { return ops::is_floating(static_cast<DType>(element)); }

cpu::Compute compute_of(Element element) {
  switch (element) {
    case Element::kF64:
      return cpu::Compute::kF64;
    case Element::kI64:
      return cpu::Compute::kI64;
    case Element::kI32:
    case Element::kU8:
    case Element::kBool:
      return cpu::Compute::kI32;
    default:
      return cpu::Compute::kF32;
  }
}

bool compares(Function function) {
  return function == Function::kEqual || function == Function::kLess ||
         function == Function::kLessEqual;
}

void set_contiguous(Pointwise& op, int inputs, int outputs, Index count) {
  op.layout.rank = 1;
  op.layout.shape[0] = count;
  op.layout.inputs = inputs;
  op.layout.outputs = outputs;
  for (int k = 0; k < inputs + outputs; ++k) op.layout.strides[k][0] = 1;
}

/// What the formula gives, rounded to the element type.
double rounded(Element element, double value) {
  Memory memory(element, 1);
  memory.set(0, value);
  return memory.get(0);
}

/// Sums whose terms may cancel: their error is relative to the inputs, not to the result.
bool cancels(Function function) {
  return function == Function::kAffine || function == Function::kGeluGrad ||
         function == Function::kSiluGrad || function == Function::kGeluAndGrad ||
         function == Function::kSwiGluGrad;
}

/// `scale` is the size of what was added up.
void expect_near(double got, double exact, double scale, Element element,
                 const std::string& where) {
  const double expected = rounded(element, exact);
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(got)) << where << ": got " << got;
  } else if (std::isinf(expected) || std::isinf(got)) {
    // Just below the overflow a last place decides.
    EXPECT_TRUE(got == expected || std::abs(exact) > 3e38 || element == Element::kF16) << where;
    EXPECT_EQ(std::signbit(got), std::signbit(expected)) << where;
  } else {
    const Precision precision = precision_of(element);
    EXPECT_NEAR(got, expected,
                precision.relative * std::max(std::abs(expected), scale) + precision.absolute)
        << where;
  }
}

/// Fills with numbers within [-6, 6], then edge values in all combinations.
void fill(std::vector<Memory>& in, Index count, const std::vector<double>& edges) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> number(-6, 6);
  for (std::size_t k = 0; k < in.size(); ++k) {
    std::size_t block = 1;
    for (std::size_t later = k + 1; later < in.size(); ++later) block *= edges.size();
    for (Index i = 0; i < count; ++i) {
      const auto combination = static_cast<std::size_t>(i - count / 2);
      const bool edge = i >= count / 2;
      const double drawn = is_floating(in[k].element) ? number(random) : std::floor(number(random));
      in[k].set(i, edge ? edges[combination / block % edges.size()] : drawn);
    }
  }
}

void expect_follows(const Case& tested, Element element) {
  const double huge = element == Element::kF16 ? 60000 : 1e30;
  const std::vector<double> edges =
      is_floating(element)
          ? std::vector<double>{0, -0.0, 1, -1, 1e-40, 1e-6, huge, -huge, INFINITY, -INFINITY, NAN}
          : std::vector<double>{0, 1, -1, 7, -7, 20000};
  const Index count = 4000;
  const bool two = tested.second != nullptr;
  std::vector<Memory> in(static_cast<std::size_t>(tested.inputs), Memory(element, count));
  fill(in, count, edges);
  const Element out_element = compares(tested.function) ? Element::kBool : element;
  std::vector<Memory> out(two ? 2 : 1, Memory(out_element, count));
  Pointwise op;
  op.compute = compute_of(element);
  set_contiguous(op, tested.inputs, two ? 2 : 1, count);
  op.scalars[0] = 1.5;
  op.scalars[1] = -0.25;
  for (std::size_t k = 0; k < in.size(); ++k) {
    op.in[k] = in[k].bytes.data();
    op.in_element[k] = element;
  }
  for (std::size_t k = 0; k < out.size(); ++k) {
    op.out[k] = out[k].bytes.data();
    op.out_element[k] = out_element;
  }
  const auto& kernels = cpu::pointwise_kernels();
  const auto core = core_of(kernels, tested.function, op.compute);
  ASSERT_NE(core, nullptr);
  kernels.run(core, op, 0, count);
  const auto at = [&](std::size_t k, Index i) { return k < in.size() ? in[k].get(i) : 0; };
  for (Index i = 0; i < count; ++i) {
    const std::string where = "function " + std::to_string(static_cast<int>(tested.function)) +
                              ", element type " + std::to_string(static_cast<int>(element)) +
                              ", of " + std::to_string(at(0, i)) + ", " + std::to_string(at(1, i)) +
                              ", " + std::to_string(at(2, i));
    const double product = at(0, i) * std::max(1.0, std::abs(at(1, i) * at(2, i)));
    const double scale = cancels(tested.function) ? std::abs(product) + 1 : 0;
    expect_near(out[0].get(i), tested.formula(at(0, i), at(1, i), at(2, i)), scale, out_element,
                where);
    if (!two) continue;
    expect_near(out[1].get(i), tested.second(at(0, i), at(1, i), at(2, i)), scale, out_element,
                where);
  }
}

TEST(PointwiseKernels, FollowTheFormulasInEveryFloatingType) {
  for (const Element element : {Element::kF32, Element::kBF16, Element::kF16, Element::kF64}) {
    for (const Case& tested : kFloating) expect_follows(tested, element);
    for (const Case& tested : kNumeric) expect_follows(tested, element);
  }
}

TEST(PointwiseKernels, FollowTheFormulasInIntegers) {
  for (const Element element : {Element::kI32, Element::kI64}) {
    for (const Case& tested : kNumeric) expect_follows(tested, element);
  }
}

TEST(PointwiseKernels, CopyConvertsBetweenAllElementTypes) {
  constexpr Index kCount = 1000;
  for (int from = 0; from < 8; ++from) {
    for (int to = 0; to < 8; ++to) {
      std::vector<Memory> in{Memory(static_cast<Element>(from), kCount)};
      fill(in, kCount, {0, 1, 2, 100});
      if (to == static_cast<int>(Element::kU8)) {
        for (Index i = 0; i < kCount; ++i) in[0].set(i, std::abs(in[0].get(i)));
      }
      Memory out(static_cast<Element>(to), kCount);
      Memory expected(static_cast<Element>(to), kCount);
      for (Index i = 0; i < kCount; ++i) expected.set(i, in[0].get(i));
      Pointwise op;
      op.compute = compute_of(static_cast<Element>(from));
      set_contiguous(op, 1, 1, kCount);
      op.in[0] = in[0].bytes.data();
      op.in_element[0] = static_cast<Element>(from);
      op.out[0] = out.bytes.data();
      op.out_element[0] = static_cast<Element>(to);
      const auto& kernels = cpu::pointwise_kernels();
      kernels.run(core_of(kernels, Function::kCopy, op.compute), op, 0, kCount);
      EXPECT_EQ(out.bytes, expected.bytes) << from << " to " << to;
    }
  }
}

TEST(PointwiseKernels, FloatsBeyondIntegersSaturate) {
  std::vector<Memory> in{Memory(Element::kF32, 4)};
  const std::vector<double> values{1e20, -1e20, NAN, -3.7};
  for (Index i = 0; i < 4; ++i) in[0].set(i, values[static_cast<std::size_t>(i)]);
  Memory out(Element::kI32, 4);
  Pointwise op;
  set_contiguous(op, 1, 1, 4);
  op.in[0] = in[0].bytes.data();
  op.out[0] = out.bytes.data();
  op.out_element[0] = Element::kI32;
  const auto& kernels = cpu::pointwise_kernels();
  kernels.run(core_of(kernels, Function::kCopy, op.compute), op, 0, 4);
  EXPECT_EQ(out.get(0), 2147483647);
  EXPECT_EQ(out.get(1), -2147483648.0);
  EXPECT_EQ(out.get(2), 0);
  EXPECT_EQ(out.get(3), -3);
}

/// An elementwise op over a random layout, with the memory of its operands.
struct Strange {
  Pointwise op;
  std::vector<Memory> memories;
};

/// Every operand gets its own order of axes, gaps and, for inputs, repeated axes.
Strange strange(std::mt19937_64& random, int inputs, Element element) {
  const auto draw = [&random](Index most) { return static_cast<Index>(random() % (most + 1)); };
  Strange result;
  primitive::Strided& layout = result.op.layout;
  layout.inputs = inputs;
  layout.outputs = 1;
  layout.rank = static_cast<int>(1 + draw(4));
  Index left = 6000;
  for (int axis = 0; axis < layout.rank; ++axis) {
    layout.shape[axis] = 1 + draw(std::min<Index>(left - 1, axis + 1 == layout.rank ? 1500 : 9));
    left = std::max<Index>(1, left / layout.shape[axis]);
  }
  for (int operand = 0; operand <= inputs; ++operand) {
    std::vector<int> order(static_cast<std::size_t>(layout.rank));
    std::iota(order.begin(), order.end(), 0);
    if (draw(2) == 0) std::shuffle(order.begin(), order.end(), random);
    Index step = draw(4) == 0 ? 2 : 1;
    for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
      const bool repeated = operand < inputs && draw(3) == 0;
      layout.strides[operand][*axis] = repeated ? 0 : step;
      if (!repeated) step *= layout.shape[*axis] + (draw(4) == 0 ? 3 : 0);
    }
    result.memories.emplace_back(element, static_cast<std::size_t>(step + 1));
    std::vector<Memory> filled{result.memories.back()};
    fill(filled, step, {1, 2, 3});
    result.memories.back() = filled[0];
  }
  for (int k = 0; k <= inputs; ++k) {
    std::byte* data = result.memories[static_cast<std::size_t>(k)].bytes.data();
    if (k < inputs) {
      result.op.in[k] = data;
      result.op.in_element[k] = element;
    } else {
      result.op.out[0] = data;
      result.op.out_element[0] = element;
    }
  }
  result.op.compute = compute_of(element);
  return result;
}

void expect_walks(Strange& given, const Case& tested, std::mt19937_64& random) {
  const primitive::Strided plain = given.op.layout;
  const Index count = primitive::elements_of(plain);
  Memory expected = given.memories.back();
  for (Index i = 0; i < count; ++i) {
    double x[3] = {};
    for (int k = 0; k < plain.inputs; ++k) {
      x[k] = given.memories[static_cast<std::size_t>(k)].get(primitive::offset_of(plain, k, i));
    }
    expected.set(primitive::offset_of(plain, plain.inputs, i), tested.formula(x[0], x[1], x[2]));
  }
  const std::vector<std::byte> before = given.memories.back().bytes;
  Pointwise op = given.op;
  op.layout = primitive::coalesced(plain);
  for (const auto& set : instruction_sets()) {
    std::copy(before.begin(), before.end(), static_cast<std::byte*>(op.out[0]));
    const auto core = core_of(set.pointwise, tested.function, op.compute);
    for (Index first = 0; first < count;) {
      const Index tile = std::min<Index>(count - first, 1 + static_cast<Index>(random() % 2000));
      set.pointwise.run(core, op, first, tile);
      first += tile;
    }
    EXPECT_EQ(given.memories.back().bytes, expected.bytes) << set.name;
  }
}

TEST(PointwiseKernels, WalkAnyLayout) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 300; ++round) {
    for (const Element element : {Element::kF32, Element::kBF16, Element::kI64}) {
      const Case& tested = kNumeric[round % 2 == 0 ? 7 : 14];  // Sub, Where: their order matters
      Strange given = strange(random, tested.inputs, element);
      expect_walks(given, tested, random);
    }
  }
}

TEST(PointwiseKernels, CoalescingJoinsAxesThatAreOneRun) {
  primitive::Strided layout;
  layout.inputs = 2;
  layout.outputs = 1;
  layout.rank = 4;
  const Index shape[] = {3, 4, 1, 5};
  const Index strides[3][4] = {{20, 5, 5, 1}, {0, 5, 9, 1}, {20, 5, 5, 1}};
  for (int axis = 0; axis < 4; ++axis) {
    layout.shape[axis] = shape[axis];
    for (int k = 0; k < 3; ++k) layout.strides[k][axis] = strides[k][axis];
  }
  const primitive::Strided joined = primitive::coalesced(layout);
  ASSERT_EQ(joined.rank, 2);
  EXPECT_EQ(joined.shape[0], 3);
  EXPECT_EQ(joined.shape[1], 20);
  EXPECT_EQ(joined.strides[1][0], 0);
  EXPECT_EQ(joined.strides[1][1], 1);
}

}  // namespace
}  // namespace reef::ops
