#include "ops/cpu/table.h"

#include "ops/cpu/kernels.h"

namespace reef::ops::cpu {

namespace {

constexpr Key f32(Op op, Layout layout = Layout::kRowMajor) {
  return {op, Device::kCpu, DType::kF32, layout};
}
constexpr Key tokens(Op op) { return {op, Device::kCpu, DType::kI32, Layout::kRowMajor}; }

constexpr Entry kKernels[] = {
    {f32(Op::kMatmul), matmul},
    {f32(Op::kColumnSum), column_sum},
    {f32(Op::kAttention, Layout::kStrided), attention},
    {f32(Op::kAttentionGrad, Layout::kStrided), attention_grad},
    {f32(Op::kLayerNorm), layer_norm},
    {f32(Op::kLayerNormGrad), layer_norm_grad},
    {f32(Op::kCrossEntropy), cross_entropy},
    {f32(Op::kCrossEntropyGrad), cross_entropy},
    {tokens(Op::kEmbedding), embedding},
    {tokens(Op::kEmbeddingGrad), embedding_grad},
    {f32(Op::kAdd), add},
    {f32(Op::kGelu), gelu},
    {f32(Op::kGeluGrad), gelu_grad},
    {f32(Op::kDropout), dropout},
    {f32(Op::kCast), to_bf16},
    {{Op::kCast, Device::kCpu, DType::kBF16, Layout::kRowMajor}, from_bf16},
    {f32(Op::kSquareSum), square_sum},
    {f32(Op::kAdamW), adamw},
};

}  // namespace

std::span<const Entry> kernels() { return kKernels; }

}  // namespace reef::ops::cpu
