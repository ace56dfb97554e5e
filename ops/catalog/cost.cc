#include "ops/catalog/catalog.h"

namespace reef::ops {

namespace {

/// Elementwise and row-wise ops: operations for each element of the first input.
double flops_per_element(Op op) {
  switch (op) {
    case Op::kColumnSum:
    case Op::kAdd:
    case Op::kCast:
      return 1;
    case Op::kSquareSum:
    case Op::kEmbedding:
    case Op::kEmbeddingGrad:
      return 2;
    case Op::kDropout:
      return 4;
    case Op::kLayerNorm:
      return 8;
    case Op::kLayerNormGrad:
      return 16;
    case Op::kAdamW:
      return 14;
    case Op::kGelu:
      return 24;
    case Op::kGeluGrad:
      return 32;
    case Op::kCrossEntropy:
      return 18;
    case Op::kCrossEntropyGrad:
      return 20;
    case Op::kMatmul:
    case Op::kAttention:
    case Op::kAttentionGrad:
      break;
  }
  return 0;
}

}  // namespace

Cost cost_of(Op op, std::span<const Signature::Output> in, const Attributes& attributes) {
  const Signature signature = infer(op, in, attributes).value();
  Cost cost;
  for (const auto& tensor : in) {
    cost.bytes +=
        static_cast<double>(tensor.shape.elements()) * static_cast<double>(size_of(tensor.dtype));
  }
  for (std::size_t i = 0; i < signature.count; ++i) {
    const auto& [shape, dtype] = signature.outputs[i];
    const double once = static_cast<double>(shape.elements()) * static_cast<double>(size_of(dtype));
    cost.bytes += op == Op::kAdamW ? 2 * once : once;  // AdamW reads what it writes
  }
  const Shape& first = in[0].shape;
  switch (op) {
    case Op::kMatmul: {
      const std::int64_t inner = attributes.layout == Layout::kTN ? first.rows() : first.back();
      cost.flops = 2.0 * static_cast<double>(inner) *
                   static_cast<double>(signature.outputs[0].shape.elements());
      break;
    }
    case Op::kAttention:
    case Op::kAttentionGrad: {
      // Causal: half of the T x T products; two of them forward, five backward.
      const double products = op == Op::kAttention ? 2 : 5;
      cost.flops =
          products * static_cast<double>(first.elements()) / 3 * static_cast<double>(first[1]);
      break;
    }
    case Op::kEmbedding:
    case Op::kEmbeddingGrad: {
      const Shape& rows = op == Op::kEmbedding ? signature.outputs[0].shape : in[1].shape;
      cost.flops = flops_per_element(op) * static_cast<double>(rows.elements());
      break;
    }
    default:
      cost.flops = flops_per_element(op) * static_cast<double>(first.elements());
  }
  return cost;
}

}  // namespace reef::ops
