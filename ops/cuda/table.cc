#include "ops/cuda/table.h"

#include <initializer_list>
#include <vector>

#include "ops/cuda/kernels.h"
#include "ops/tensor/device.h"

namespace reef::ops::cuda {

namespace {

struct Row {
  Op op;
  Kernel kernel;
  Layout layout;
  std::initializer_list<DType> dtypes;  ///< of the first input, or as ops/catalog/catalog.h says
};

constexpr std::initializer_list<DType> kFloats = {DType::kF32, DType::kBF16, DType::kF16,
                                                  DType::kF64};
constexpr std::initializer_list<DType> kIndices = {DType::kI32, DType::kI64};
constexpr std::initializer_list<DType> kTokens = {DType::kI32};
constexpr std::initializer_list<DType> kBools = {DType::kBool};
constexpr std::initializer_list<DType> kNumbers = {DType::kF32, DType::kBF16, DType::kF16,
                                                   DType::kF64, DType::kI32,  DType::kI64};
constexpr std::initializer_list<DType> kAll = {DType::kF32, DType::kBF16, DType::kI32,
                                               DType::kU8,  DType::kF64,  DType::kF16,
                                               DType::kI64, DType::kBool};

constexpr Layout kPlain = Layout::kRowMajor;
constexpr Layout kAny = Layout::kStrided;

const Row kRows[] = {
    {Op::kMatmul, matmul, kPlain, kFloats},
    {Op::kBatchMatmul, batch_matmul, kAny, kFloats},
    {Op::kColumnSum, column_sum, kPlain, kFloats},
    {Op::kLinearCrossEntropy, linear_cross_entropy, kPlain, kFloats},
    {Op::kAttention, attention, kAny, kFloats},
    {Op::kAttentionGrad, attention_grad, kAny, kFloats},
    {Op::kRope, rope, kAny, kFloats},
    {Op::kLayerNorm, layer_norm, kPlain, kFloats},
    {Op::kLayerNormGrad, layer_norm_grad, kPlain, kFloats},
    {Op::kAddLayerNorm, add_layer_norm, kPlain, kFloats},
    {Op::kRmsNorm, rms_norm, kPlain, kFloats},
    {Op::kRmsNormGrad, rms_norm_grad, kPlain, kFloats},
    {Op::kSoftmax, softmax, kPlain, kFloats},
    {Op::kSoftmaxGrad, softmax_grad, kPlain, kFloats},
    {Op::kLogSoftmax, log_softmax, kPlain, kFloats},
    {Op::kLogSoftmaxGrad, log_softmax_grad, kPlain, kFloats},
    {Op::kCrossEntropy, cross_entropy, kPlain, kFloats},
    {Op::kCrossEntropyGrad, cross_entropy, kPlain, kFloats},
    {Op::kEmbedding, embedding, kPlain, kTokens},
    {Op::kEmbeddingGrad, embedding_grad, kPlain, kTokens},
    {Op::kIndexSelect, index_select, kPlain, kAll},
    {Op::kIndexAdd, index_add, kPlain, kIndices},
    {Op::kGather, gather, kPlain, kAll},
    {Op::kScatterAdd, scatter_add, kPlain, kIndices},
    {Op::kTopK, top_k, kPlain, kFloats},
    {Op::kArgMax, arg_max, kPlain, kFloats},
    {Op::kGeluAndGrad, gelu_and_grad, kAny, kFloats},
    {Op::kSwiGluGrad, swiglu_grad, kAny, kFloats},
    {Op::kWhere, where, kAny, kBools},
    {Op::kSum, sum, kPlain, kNumbers},
    {Op::kMax, max, kPlain, kNumbers},
    {Op::kSquareSum, square_sum, kPlain, kFloats},
    {Op::kCumSum, cum_sum, kPlain, kNumbers},
    {Op::kFill, fill, kAny, kAll},
    {Op::kCopy, copy, kAny, kAll},
    {Op::kCast, cast, kAny, kAll},
    {Op::kConcat, concat, kAny, kAll},
    {Op::kPad, pad, kAny, kAll},
    {Op::kDropout, dropout, kPlain, kFloats},
    {Op::kUniform, uniform, kPlain, kFloats},
    {Op::kNormal, normal, kPlain, kFloats},
    {Op::kConv2d, conv2d, kAny, kFloats},
    {Op::kConv2dInputGrad, conv2d_input_grad, kAny, kFloats},
    {Op::kConv2dWeightGrad, conv2d_weight_grad, kAny, kFloats},
    {Op::kMaxPool2d, max_pool2d, kAny, kFloats},
    {Op::kMaxPool2dGrad, max_pool2d_grad, kAny, kTokens},
    {Op::kAvgPool2d, avg_pool2d, kAny, kFloats},
    {Op::kAvgPool2dGrad, avg_pool2d_grad, kAny, kFloats},
    {Op::kAdamW, adamw, kPlain, kFloats},
    {Op::kSgd, sgd, kPlain, kFloats},
    {Op::kLion, lion, kPlain, kFloats},
    {Op::kAdafactor, adafactor, kPlain, kFloats},
};

/// Elementwise ops of any layout, by the function that finds their kernel.
struct Family {
  Kernel (*kernel_of)(Op op);
  std::initializer_list<DType> dtypes;
  std::initializer_list<Op> ops;
};
const Family kFamilies[] = {
    {unary_kernel,
     kFloats,
     {Op::kNeg, Op::kAbs, Op::kSign, Op::kExp, Op::kLog, Op::kSqrt, Op::kRsqrt, Op::kTanh,
      Op::kSigmoid, Op::kErf, Op::kSin, Op::kCos, Op::kSquare, Op::kRelu, Op::kGelu, Op::kSilu,
      Op::kAffine}},
    {binary_kernel, kNumbers, {Op::kAdd, Op::kSub, Op::kMul, Op::kMaximum, Op::kMinimum}},
    {binary_kernel, kFloats, {Op::kDiv, Op::kGeluGrad, Op::kSiluGrad, Op::kSwiGlu}},
    {comparison_kernel, kNumbers, {Op::kEqual, Op::kLess, Op::kLessEqual}},
};

std::vector<Entry> entries_for(Device device) {
  std::vector<Entry> entries;
  for (const Row& row : kRows) {
    for (const DType dtype : row.dtypes) {
      entries.push_back({{row.op, device, dtype, row.layout}, row.kernel, "cuda"});
    }
  }
  for (const Family& family : kFamilies) {
    for (const Op op : family.ops) {
      for (const DType dtype : family.dtypes) {
        entries.push_back({{op, device, dtype, kAny}, family.kernel_of(op), "cuda"});
      }
    }
  }
  return entries;
}

}  // namespace

std::span<const Entry> kernels(Device device) {
  static const std::vector<Entry> entries = entries_for(device);
  return entries;
}

}  // namespace reef::ops::cuda
