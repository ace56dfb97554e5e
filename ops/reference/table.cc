#include "ops/reference/table.h"

#include <vector>

#include "ops/reference/kernels.h"
#include "ops/reference/pointwise.h"

namespace reef::ops::reference {

namespace {

struct Row {
  Op op;
  Kernel kernel;
  Layout layout;
  std::initializer_list<DType> dtypes;
};

// bf16 and f16 are served through f32, but where the key is not the dtype of the values.
constexpr std::initializer_list<DType> kReal = {DType::kF32, DType::kF64};
constexpr std::initializer_list<DType> kIndex = {DType::kI32, DType::kI64};
constexpr std::initializer_list<DType> kTokens = {DType::kI32};
constexpr std::initializer_list<DType> kPlaces = {DType::kI32};
constexpr std::initializer_list<DType> kNumber = {DType::kF32, DType::kF64, DType::kI32,
                                                  DType::kI64};
constexpr std::initializer_list<DType> kFloating = {DType::kF32, DType::kF64, DType::kBF16,
                                                    DType::kF16};
constexpr std::initializer_list<DType> kConditions = {DType::kBool};
constexpr std::initializer_list<DType> kAll = {DType::kF32, DType::kBF16, DType::kI32,
                                               DType::kU8,  DType::kF64,  DType::kF16,
                                               DType::kI64, DType::kBool};

constexpr Layout kPlain = Layout::kRowMajor;
constexpr Layout kAny = Layout::kStrided;

const Row kRows[] = {
    {Op::kMatmul, matmul, kPlain, kReal},
    {Op::kBatchMatmul, batch_matmul, kAny, kReal},
    {Op::kColumnSum, column_sum, kPlain, kReal},
    {Op::kLinearCrossEntropy, linear_cross_entropy, kPlain, kReal},

    {Op::kAttention, attention, kAny, kReal},
    {Op::kAttentionGrad, attention_grad, kAny, kReal},
    {Op::kRope, rope, kAny, kReal},

    {Op::kLayerNorm, layer_norm, kPlain, kReal},
    {Op::kLayerNormGrad, layer_norm_grad, kPlain, kReal},
    {Op::kAddLayerNorm, add_layer_norm, kPlain, kReal},
    {Op::kRmsNorm, rms_norm, kPlain, kReal},
    {Op::kRmsNormGrad, rms_norm_grad, kPlain, kReal},
    {Op::kSoftmax, softmax, kPlain, kReal},
    {Op::kSoftmaxGrad, softmax_grad, kPlain, kReal},
    {Op::kLogSoftmax, log_softmax, kPlain, kReal},
    {Op::kLogSoftmaxGrad, log_softmax_grad, kPlain, kReal},
    {Op::kCrossEntropy, cross_entropy, kPlain, kReal},
    {Op::kCrossEntropyGrad, cross_entropy, kPlain, kReal},

    {Op::kEmbedding, embedding, kPlain, kTokens},
    {Op::kEmbeddingGrad, embedding_grad, kPlain, kTokens},
    {Op::kIndexSelect, index_select, kPlain, kAll},
    {Op::kIndexAdd, index_add, kPlain, kIndex},
    {Op::kGather, gather, kPlain, kAll},
    {Op::kScatterAdd, scatter_add, kPlain, kIndex},
    {Op::kTopK, top_k, kPlain, kReal},
    {Op::kArgMax, arg_max, kPlain, kReal},

    {Op::kNeg, unary<Op::kNeg>, kAny, kReal},
    {Op::kAbs, unary<Op::kAbs>, kAny, kReal},
    {Op::kSign, unary<Op::kSign>, kAny, kReal},
    {Op::kExp, unary<Op::kExp>, kAny, kReal},
    {Op::kLog, unary<Op::kLog>, kAny, kReal},
    {Op::kSqrt, unary<Op::kSqrt>, kAny, kReal},
    {Op::kRsqrt, unary<Op::kRsqrt>, kAny, kReal},
    {Op::kTanh, unary<Op::kTanh>, kAny, kReal},
    {Op::kSigmoid, unary<Op::kSigmoid>, kAny, kReal},
    {Op::kErf, unary<Op::kErf>, kAny, kReal},
    {Op::kSin, unary<Op::kSin>, kAny, kReal},
    {Op::kCos, unary<Op::kCos>, kAny, kReal},
    {Op::kSquare, unary<Op::kSquare>, kAny, kReal},
    {Op::kRelu, unary<Op::kRelu>, kAny, kReal},
    {Op::kGelu, unary<Op::kGelu>, kAny, kReal},
    {Op::kSilu, unary<Op::kSilu>, kAny, kReal},
    {Op::kAffine, unary<Op::kAffine>, kAny, kReal},
    {Op::kAdd, binary<Op::kAdd>, kAny, kNumber},
    {Op::kSub, binary<Op::kSub>, kAny, kNumber},
    {Op::kMul, binary<Op::kMul>, kAny, kNumber},
    {Op::kDiv, binary<Op::kDiv>, kAny, kReal},
    {Op::kMaximum, binary<Op::kMaximum>, kAny, kNumber},
    {Op::kMinimum, binary<Op::kMinimum>, kAny, kNumber},
    {Op::kEqual, binary<Op::kEqual>, kAny, kNumber},
    {Op::kLess, binary<Op::kLess>, kAny, kNumber},
    {Op::kLessEqual, binary<Op::kLessEqual>, kAny, kNumber},
    {Op::kGeluGrad, binary<Op::kGeluGrad>, kAny, kReal},
    {Op::kSiluGrad, binary<Op::kSiluGrad>, kAny, kReal},
    {Op::kSwiGlu, binary<Op::kSwiGlu>, kAny, kReal},
    {Op::kGeluAndGrad, gelu_and_grad, kAny, kReal},
    {Op::kSwiGluGrad, swiglu_grad, kAny, kReal},
    {Op::kWhere, where, kAny, kConditions},

    {Op::kSum, sum, kAny, kNumber},
    {Op::kMax, max, kAny, kNumber},
    {Op::kSquareSum, square_sum, kPlain, kReal},
    {Op::kCumSum, cum_sum, kAny, kNumber},

    {Op::kFill, fill, kAny, kAll},
    {Op::kCopy, cast, kAny, kAll},
    {Op::kCast, cast, kAny, kAll},
    {Op::kConcat, concat, kAny, kAll},
    {Op::kPad, pad, kAny, kAll},

    {Op::kDropout, dropout, kPlain, kReal},
    {Op::kUniform, uniform, kPlain, kFloating},
    {Op::kNormal, normal, kPlain, kReal},

    {Op::kConv2d, conv2d, kAny, kReal},
    {Op::kConv2dInputGrad, conv2d_input_grad, kAny, kReal},
    {Op::kConv2dWeightGrad, conv2d_weight_grad, kAny, kReal},
    {Op::kMaxPool2d, max_pool2d, kAny, kReal},
    {Op::kMaxPool2dGrad, max_pool2d_grad, kAny, kPlaces},
    {Op::kAvgPool2d, avg_pool2d, kAny, kReal},
    {Op::kAvgPool2dGrad, avg_pool2d_grad, kAny, kReal},

    {Op::kAdamW, adamw, kPlain, kFloating},
    {Op::kSgd, sgd, kPlain, kFloating},
    {Op::kLion, lion, kPlain, kFloating},
    {Op::kAdafactor, adafactor, kPlain, kFloating},
};

}  // namespace

std::span<const Entry> kernels() {
  static const std::vector<Entry> entries = [] {
    std::vector<Entry> all;
    for (const Row& row : kRows) {
      for (const DType dtype : row.dtypes) {
        all.push_back({{row.op, Device::kReference, dtype, row.layout}, row.kernel, "reference"});
      }
    }
    return all;
  }();
  return entries;
}

}  // namespace reef::ops::reference
