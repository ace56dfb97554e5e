#include "ops/reference/table.h"

#include <vector>

#include "ops/reference/kernels.h"

namespace reef::ops::reference {

namespace {

struct Row {
  Op op;
  Kernel kernel;
  Layout layout;
  std::initializer_list<DType> dtypes;
};

constexpr std::initializer_list<DType> kSingle = {DType::kF32};
constexpr std::initializer_list<DType> kReal = {DType::kF32, DType::kF64};
constexpr std::initializer_list<DType> kTokens = {DType::kI32};
constexpr std::initializer_list<DType> kAll = {DType::kF32, DType::kBF16, DType::kI32,
                                               DType::kU8,  DType::kF64,  DType::kF16,
                                               DType::kI64, DType::kBool};

constexpr Layout kPlain = Layout::kRowMajor;
constexpr Layout kAny = Layout::kStrided;

const Row kRows[] = {
    {Op::kMatmul, matmul, kPlain, kSingle},
    {Op::kColumnSum, column_sum, kPlain, kSingle},
    {Op::kAttention, attention, kAny, kReal},
    {Op::kAttentionGrad, attention_grad, kAny, kReal},
    {Op::kLayerNorm, layer_norm, kPlain, kSingle},
    {Op::kLayerNormGrad, layer_norm_grad, kPlain, kSingle},
    {Op::kCrossEntropy, cross_entropy, kPlain, kSingle},
    {Op::kCrossEntropyGrad, cross_entropy, kPlain, kSingle},
    {Op::kEmbedding, embedding, kPlain, kTokens},
    {Op::kEmbeddingGrad, embedding_grad, kPlain, kTokens},
    {Op::kAdd, add, kPlain, kSingle},
    {Op::kGelu, gelu, kPlain, kSingle},
    {Op::kGeluGrad, gelu_grad, kPlain, kSingle},
    {Op::kDropout, dropout, kPlain, kSingle},
    {Op::kSquareSum, square_sum, kPlain, kSingle},
    {Op::kFill, fill, kAny, kAll},
    {Op::kCopy, cast, kAny, kAll},
    {Op::kCast, cast, kAny, kAll},
    {Op::kConcat, concat, kAny, kAll},
    {Op::kPad, pad, kAny, kAll},
    {Op::kAdamW, adamw, kPlain, kSingle},
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
