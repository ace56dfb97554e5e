// Elementwise ops, copies and casts, in every element type and layout.

#include "ops/cpu/isa/pointwise.h"

#include "ops/cpu/layout.h"
#include "ops/cpu/served.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

Compute compute_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kBF16:
    case DType::kF16:
      return Compute::kF32;
    case DType::kF64:
      return Compute::kF64;
    case DType::kI64:
      return Compute::kI64;
    case DType::kI32:
    case DType::kU8:
    case DType::kBool:
      return Compute::kI32;
  }
  CHECK(false) << "dtype " << static_cast<int>(dtype);
  return Compute::kF32;
}

void compute(const Call& call, Function function) {
  // The last input is a value in every op: the first of kWhere is a condition.
  Pointwise op{.compute = compute_of(call.in.back().dtype()),
               .layout = layout_of(call.in, call.out)};
  op.scalars[0] = call.attributes.scale;
  op.scalars[1] = call.attributes.shift;
  for (std::size_t k = 0; k < call.in.size(); ++k) {
    op.in[k] = call.in[k].raw();
    op.in_element[k] = element_of(call.in[k].dtype());
  }
  for (std::size_t k = 0; k < call.out.size(); ++k) {
    op.out[k] = call.out[k].raw();
    op.out_element[k] = element_of(call.out[k].dtype());
  }
  const PointwiseKernels& kernels = pointwise_kernels();
  const PointwiseCore core =
      kernels.cores[static_cast<int>(function)][static_cast<int>(op.compute)];
  CHECK(core != nullptr) << "function " << static_cast<int>(function) << " of "
                         << name_of(call.in.back().dtype());
  for_tiles(call.context, call.out[0].elements(), kElements,
            [&](Index first, Index count) { kernels.run(core, op, first, count); });
}

template <Function function>
void pointwise(const Call& call) {
  compute(call, function);
}

constexpr Layout kAny = Layout::kStrided;
constexpr std::initializer_list<DType> kCondition = {DType::kBool};

constexpr Served kServed[] = {
    {Op::kNeg, pointwise<Function::kNeg>, kAny, kFloating},
    {Op::kAbs, pointwise<Function::kAbs>, kAny, kFloating},
    {Op::kSign, pointwise<Function::kSign>, kAny, kFloating},
    {Op::kExp, pointwise<Function::kExp>, kAny, kFloating},
    {Op::kLog, pointwise<Function::kLog>, kAny, kFloating},
    {Op::kSqrt, pointwise<Function::kSqrt>, kAny, kFloating},
    {Op::kRsqrt, pointwise<Function::kRsqrt>, kAny, kFloating},
    {Op::kTanh, pointwise<Function::kTanh>, kAny, kFloating},
    {Op::kSigmoid, pointwise<Function::kSigmoid>, kAny, kFloating},
    {Op::kErf, pointwise<Function::kErf>, kAny, kFloating},
    {Op::kSin, pointwise<Function::kSin>, kAny, kFloating},
    {Op::kCos, pointwise<Function::kCos>, kAny, kFloating},
    {Op::kSquare, pointwise<Function::kSquare>, kAny, kFloating},
    {Op::kRelu, pointwise<Function::kRelu>, kAny, kFloating},
    {Op::kGelu, pointwise<Function::kGelu>, kAny, kFloating},
    {Op::kSilu, pointwise<Function::kSilu>, kAny, kFloating},
    {Op::kAffine, pointwise<Function::kAffine>, kAny, kFloating},
    {Op::kAdd, pointwise<Function::kAdd>, kAny, kNumeric},
    {Op::kSub, pointwise<Function::kSub>, kAny, kNumeric},
    {Op::kMul, pointwise<Function::kMul>, kAny, kNumeric},
    {Op::kDiv, pointwise<Function::kDiv>, kAny, kFloating},
    {Op::kMaximum, pointwise<Function::kMaximum>, kAny, kNumeric},
    {Op::kMinimum, pointwise<Function::kMinimum>, kAny, kNumeric},
    {Op::kEqual, pointwise<Function::kEqual>, kAny, kNumeric},
    {Op::kLess, pointwise<Function::kLess>, kAny, kNumeric},
    {Op::kLessEqual, pointwise<Function::kLessEqual>, kAny, kNumeric},
    {Op::kGeluGrad, pointwise<Function::kGeluGrad>, kAny, kFloating},
    {Op::kSiluGrad, pointwise<Function::kSiluGrad>, kAny, kFloating},
    {Op::kSwiGlu, pointwise<Function::kSwiGlu>, kAny, kFloating},
    {Op::kGeluAndGrad, pointwise<Function::kGeluAndGrad>, kAny, kFloating},
    {Op::kSwiGluGrad, pointwise<Function::kSwiGluGrad>, kAny, kFloating},
    {Op::kWhere, pointwise<Function::kWhere>, kAny, kCondition},
    {Op::kCopy, pointwise<Function::kCopy>, kAny, kEvery},
    {Op::kCast, pointwise<Function::kCopy>, kAny, kEvery},
};

}  // namespace

std::span<const Served> pointwise_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
