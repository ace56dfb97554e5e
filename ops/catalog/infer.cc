#include <initializer_list>
#include <string>

#include "ops/catalog/catalog.h"

namespace reef::ops {

namespace {

using Described = std::span<const Signature::Output>;

Signature signature(std::initializer_list<Signature::Output> outputs) {
  Signature result;
  for (const Signature::Output& output : outputs) result.outputs[result.count++] = output;
  return result;
}

Error misfit(Op op, Described in, std::string_view rule) {
  std::string what(rule);
  for (std::size_t i = 0; i < in.size(); ++i) {
    what += (i == 0 ? "; given " : " ") + in[i].shape.text() + std::string(name_of(in[i].dtype));
  }
  return {Code::kTensor, std::string(name_of(op)), what};
}

std::vector<std::int64_t> extents_of(const Shape& shape) {
  return {shape.extents().begin(), shape.extents().end()};
}

/// `shape` with another last extent.
Shape with_back(const Shape& shape, std::int64_t back) {
  std::vector<std::int64_t> extents = extents_of(shape);
  extents.back() = back;
  return Shape(extents);
}

bool is_f32(Described in) {
  for (const auto& tensor : in) {
    if (tensor.dtype != DType::kF32) return false;
  }
  return true;
}

/// The two-input form that most ops share: f32, rank >= 1.
bool plain(Described in, std::size_t count) {
  return in.size() == count && is_f32(in) && in[0].shape.rank() >= 1;
}

Result<Signature> infer_matmul(Described in, const Attributes& attributes) {
  const Op op = Op::kMatmul;
  if ((in.size() != 2 && in.size() != 3) || !is_f32(in) || in[0].shape.rank() < 2 ||
      in[1].shape.rank() < 2) {
    return misfit(op, in, "takes two f32 matrices and perhaps a bias");
  }
  const Shape& a = in[0].shape;
  const Shape& b = in[1].shape;
  const bool fits = attributes.layout == Layout::kNN   ? a.back() == b.rows()
                    : attributes.layout == Layout::kNT ? a.back() == b.back()
                                                       : a.rows() == b.rows();
  if (!fits) return misfit(op, in, "inner extents differ");
  const std::int64_t columns = attributes.layout == Layout::kNT ? b.rows() : b.back();
  if (in.size() == 3 && in[2].shape != Shape{columns}) return misfit(op, in, "bias does not fit");
  if (attributes.layout == Layout::kTN) return signature({{Shape{a.back(), columns}}});
  return signature({{with_back(a, columns)}});
}

Result<Signature> infer_embedding(Described in) {
  const bool fits = in.size() == 3 && in[0].dtype == DType::kI32 && in[0].shape.rank() == 2 &&
                    is_f32(in.subspan(1)) && in[1].shape.rank() == 2 && in[2].shape.rank() == 2 &&
                    in[1].shape[1] == in[2].shape[1] && in[0].shape[1] <= in[2].shape[0];
  if (!fits) return misfit(Op::kEmbedding, in, "takes i32 (B, T), (V, C), (P, C) with T <= P");
  return signature({{Shape{in[0].shape[0], in[0].shape[1], in[1].shape[1]}}});
}

Result<Signature> infer_embedding_grad(Described in, const Attributes& attributes) {
  const bool fits = in.size() == 2 && in[0].dtype == DType::kI32 && in[0].shape.rank() == 2 &&
                    in[1].dtype == DType::kF32 && in[1].shape.rank() == 3 &&
                    in[1].shape[0] == in[0].shape[0] && in[1].shape[1] == in[0].shape[1] &&
                    in[0].shape[1] <= attributes.columns;
  if (!fits) return misfit(Op::kEmbeddingGrad, in, "takes i32 (B, T) and f32 (B, T, C)");
  return signature(
      {{Shape{attributes.rows, in[1].shape[2]}}, {Shape{attributes.columns, in[1].shape[2]}}});
}

Result<Signature> infer_layer_norm(Described in) {
  if (!plain(in, 3) || in[1].shape != Shape{in[0].shape.back()} || in[2].shape != in[1].shape) {
    return misfit(Op::kLayerNorm, in, "takes f32 (.., C), (C), (C)");
  }
  return signature({{in[0].shape}, {Shape{in[0].shape.rows(), 2}}});
}

Result<Signature> infer_layer_norm_grad(Described in) {
  if (!plain(in, 4) || in[1].shape != Shape{in[0].shape.back()} ||
      in[2].shape != Shape{in[0].shape.rows(), 2} || in[3].shape != in[0].shape) {
    return misfit(Op::kLayerNormGrad, in, "takes f32 x, weight, statistics, grad");
  }
  return signature({{in[0].shape}, {in[1].shape}, {in[1].shape}});
}

bool fits_attention(const Shape& qkv, std::int64_t heads) {
  return qkv.rank() == 3 && heads > 0 && qkv.back() % (3 * heads) == 0;
}

Result<Signature> infer_attention(Op op, Described in, const Attributes& attributes) {
  const bool grad = op == Op::kAttentionGrad;
  if (!plain(in, grad ? 4 : 1) || !fits_attention(in[0].shape, attributes.heads)) {
    return misfit(op, in, "takes f32 (B, T, 3C) with C a multiple of the heads");
  }
  const Shape out = with_back(in[0].shape, in[0].shape.back() / 3);
  const Shape sums{in[0].shape[0], attributes.heads, in[0].shape[1]};
  if (!grad) return signature({{out}, {sums}});
  if (in[1].shape != out || in[2].shape != sums || in[3].shape != out) {
    return misfit(op, in, "forward results do not fit");
  }
  return signature({{in[0].shape}});
}

Result<Signature> infer_cross_entropy(Op op, Described in) {
  if (in.size() != 2 || in[0].dtype != DType::kF32 || in[1].dtype != DType::kI32 ||
      in[0].shape.rank() < 1 || in[0].shape.rows() != in[1].shape.elements()) {
    return misfit(op, in, "takes f32 (.., V) and as many i32 targets as rows");
  }
  const Signature::Output losses{Shape{in[0].shape.rows(), sizeof(double)}, DType::kU8};
  if (op == Op::kCrossEntropy) return signature({losses});
  return signature({losses, {in[0].shape}});
}

Result<Signature> infer_cast(Described in, const Attributes& attributes) {
  const auto is_float = [](DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16; };
  if (in.size() != 1 || !is_float(in[0].dtype) || !is_float(attributes.to) ||
      in[0].dtype == attributes.to) {
    return misfit(Op::kCast, in, "converts between f32 and bf16");
  }
  return signature({{in[0].shape, attributes.to}});
}

/// Outputs shaped as the first of `count` f32 inputs of one shape.
Result<Signature> infer_alike(Op op, Described in, std::size_t count, std::size_t outputs) {
  if (in.size() != count || !is_f32(in)) return misfit(op, in, "takes f32 tensors");
  for (const auto& tensor : in) {
    if (tensor.shape != in[0].shape) return misfit(op, in, "takes tensors of one shape");
  }
  Signature result;
  result.count = outputs;
  for (std::size_t i = 0; i < outputs; ++i) result.outputs[i] = {in[0].shape};
  return result;
}

}  // namespace

Result<Signature> infer(Op op, Described in, const Attributes& attributes) {
  switch (op) {
    case Op::kMatmul:
      return infer_matmul(in, attributes);
    case Op::kColumnSum:
      if (!plain(in, 1)) return misfit(op, in, "takes f32 (.., C)");
      return signature({{Shape{in[0].shape.back()}}});
    case Op::kEmbedding:
      return infer_embedding(in);
    case Op::kEmbeddingGrad:
      return infer_embedding_grad(in, attributes);
    case Op::kLayerNorm:
      return infer_layer_norm(in);
    case Op::kLayerNormGrad:
      return infer_layer_norm_grad(in);
    case Op::kAttention:
    case Op::kAttentionGrad:
      return infer_attention(op, in, attributes);
    case Op::kCrossEntropy:
    case Op::kCrossEntropyGrad:
      return infer_cross_entropy(op, in);
    case Op::kCast:
      return infer_cast(in, attributes);
    case Op::kSquareSum: {
      if (in.size() != 1 || !is_f32(in)) return misfit(op, in, "takes one f32 tensor");
      const std::int64_t blocks = (in[0].shape.elements() + kSquareSumBlock - 1) / kSquareSumBlock;
      return signature({{Shape{blocks, sizeof(double)}, DType::kU8}});
    }
    case Op::kGelu:
      return infer_alike(op, in, 1, 1);
    case Op::kGeluGrad:
    case Op::kAdd:
      return infer_alike(op, in, 2, 1);
    case Op::kDropout:
      if (!plain(in, 1)) return misfit(op, in, "takes one f32 tensor of samples");
      return infer_alike(op, in, 1, 1);
    case Op::kAdamW:
      return infer_alike(op, in, 1, 3);
  }
  return misfit(op, in, "unknown op");
}

}  // namespace reef::ops
