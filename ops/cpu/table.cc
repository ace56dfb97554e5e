#include "ops/cpu/table.h"

#include <vector>

#include "ops/cpu/kernels.h"
#include "ops/cpu/served.h"

namespace reef::ops::cpu {

namespace {

constexpr Key f32(Op op, Layout layout = Layout::kRowMajor) {
  return {op, Device::kCpu, DType::kF32, layout};
}
constexpr Key bf16(Op op, Layout layout = Layout::kRowMajor) {
  return {op, Device::kCpu, DType::kBF16, layout};
}
constexpr Key tokens(Op op) { return {op, Device::kCpu, DType::kI32, Layout::kRowMajor}; }

constexpr Entry kKernels[] = {
    {bf16(Op::kMatmul), matmul},
    {f32(Op::kBatchMatmul, Layout::kStrided), batch_matmul},
    {bf16(Op::kBatchMatmul, Layout::kStrided), batch_matmul},
    {f32(Op::kColumnSum), column_sum},
    {f32(Op::kLinearCrossEntropy), linear_cross_entropy},
    {bf16(Op::kLinearCrossEntropy), linear_cross_entropy},
    {f32(Op::kAttention, Layout::kStrided), attention},
    {f32(Op::kAttentionGrad, Layout::kStrided), attention_grad},
    {bf16(Op::kAttention, Layout::kStrided), attention},
    {bf16(Op::kAttentionGrad, Layout::kStrided), attention_grad},
    {f32(Op::kRope, Layout::kStrided), rope},
    {bf16(Op::kRope, Layout::kStrided), rope},
    {tokens(Op::kEmbedding), embedding},
    {tokens(Op::kEmbeddingGrad), embedding_grad},
    {f32(Op::kDropout), dropout},
    {f32(Op::kTopK), top_k},
    {bf16(Op::kTopK), top_k},
    {f32(Op::kConv2d, Layout::kStrided), conv2d},
    {f32(Op::kConv2dInputGrad, Layout::kStrided), conv2d_input_grad},
    {f32(Op::kConv2dWeightGrad, Layout::kStrided), conv2d_weight_grad},
};

std::vector<Entry> all_kernels() {
  std::vector<Entry> all(std::begin(kKernels), std::end(kKernels));
  all.insert(all.end(), matmul_tilings().begin(), matmul_tilings().end());
  for (const auto& family :
       {index_kernels_served(), move_kernels_served(), norm_kernels_served(),
        pointwise_kernels_served(), pool_kernels_served(), reduce_kernels_served(),
        scan_kernels_served(), scatter_kernels_served(), softmax_kernels_served(),
        update_kernels_served()}) {
    for (const Served& served : family) {
      for (const DType dtype : served.dtypes) {
        all.push_back({{served.op, Device::kCpu, dtype, served.layout}, served.kernel});
      }
    }
  }
  return all;
}

}  // namespace

std::span<const Entry> kernels() {
  static const std::vector<Entry> all = all_kernels();
  return all;
}

}  // namespace reef::ops::cpu
