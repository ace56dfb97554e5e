#include "ops/catalog/catalog.h"
#include "ops/cpu/kernels.h"
#include "ops/reference/kernels.h"

namespace reef::ops {

namespace {

constexpr Entry kTable[] = {
    {Op::kMatmul, Device::kCpu, DType::kF32, cpu::matmul},
    {Op::kColumnSum, Device::kCpu, DType::kF32, cpu::column_sum},
    {Op::kEmbedding, Device::kCpu, DType::kI32, cpu::embedding},
    {Op::kEmbeddingGrad, Device::kCpu, DType::kI32, cpu::embedding_grad},
    {Op::kLayerNorm, Device::kCpu, DType::kF32, cpu::layer_norm},
    {Op::kLayerNormGrad, Device::kCpu, DType::kF32, cpu::layer_norm_grad},
    {Op::kGelu, Device::kCpu, DType::kF32, cpu::gelu},
    {Op::kGeluGrad, Device::kCpu, DType::kF32, cpu::gelu_grad},
    {Op::kAttention, Device::kCpu, DType::kF32, cpu::attention},
    {Op::kAttentionGrad, Device::kCpu, DType::kF32, cpu::attention_grad},
    {Op::kAdd, Device::kCpu, DType::kF32, cpu::add},
    {Op::kCrossEntropy, Device::kCpu, DType::kF32, cpu::cross_entropy},
    {Op::kCrossEntropyGrad, Device::kCpu, DType::kF32, cpu::cross_entropy},
    {Op::kDropout, Device::kCpu, DType::kF32, cpu::dropout},
    {Op::kCast, Device::kCpu, DType::kF32, cpu::cast},
    {Op::kCast, Device::kCpu, DType::kBF16, cpu::cast},
    {Op::kSquareSum, Device::kCpu, DType::kF32, cpu::square_sum},
    {Op::kAdamW, Device::kCpu, DType::kF32, cpu::adamw},

    {Op::kMatmul, Device::kReference, DType::kF32, reference::matmul},
    {Op::kColumnSum, Device::kReference, DType::kF32, reference::column_sum},
    {Op::kEmbedding, Device::kReference, DType::kI32, reference::embedding},
    {Op::kEmbeddingGrad, Device::kReference, DType::kI32, reference::embedding_grad},
    {Op::kLayerNorm, Device::kReference, DType::kF32, reference::layer_norm},
    {Op::kLayerNormGrad, Device::kReference, DType::kF32, reference::layer_norm_grad},
    {Op::kGelu, Device::kReference, DType::kF32, reference::gelu},
    {Op::kGeluGrad, Device::kReference, DType::kF32, reference::gelu_grad},
    {Op::kAttention, Device::kReference, DType::kF32, reference::attention},
    {Op::kAttentionGrad, Device::kReference, DType::kF32, reference::attention_grad},
    {Op::kAdd, Device::kReference, DType::kF32, reference::add},
    {Op::kCrossEntropy, Device::kReference, DType::kF32, reference::cross_entropy},
    {Op::kCrossEntropyGrad, Device::kReference, DType::kF32, reference::cross_entropy},
    {Op::kDropout, Device::kReference, DType::kF32, reference::dropout},
    {Op::kCast, Device::kReference, DType::kF32, reference::cast},
    {Op::kCast, Device::kReference, DType::kBF16, reference::cast},
    {Op::kSquareSum, Device::kReference, DType::kF32, reference::square_sum},
    {Op::kAdamW, Device::kReference, DType::kF32, reference::adamw},
};

}  // namespace

std::span<const Entry> kernel_table() { return kTable; }

}  // namespace reef::ops
