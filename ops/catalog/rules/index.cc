#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

bool is_tokens(const TensorSpec& spec) {
  return spec.dtype == DType::kI32 && spec.shape.rank() == 2;
}

Result<Signature> infer_embedding(Op op, Specs in, const Attributes&) {
  const bool fits =
      (in.size() == 2 || in.size() == 3) && is_tokens(*in[0]) && all_floating(in.subspan(1)) &&
      in[1]->shape.rank() == 2 &&
      (in.size() == 2 || (in[2]->shape.rank() == 2 && in[1]->shape[1] == in[2]->shape[1] &&
                          in[0]->shape[1] <= in[2]->shape[0]));
  if (!fits) return misfit(op, in, "takes i32 (B, T), (V, C) and perhaps (P, C) with T <= P");
  return signature({{in[0]->shape.inserted(2, in[1]->shape[1]), in[1]->dtype}});
}

Result<Signature> infer_embedding_grad(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 2 && is_tokens(*in[0]) && is_floating(in[1]->dtype) &&
                    in[1]->shape.rank() == 3 && in[1]->shape.without(2) == in[0]->shape &&
                    (attributes.columns == 0 || in[0]->shape[1] <= attributes.columns);
  if (!fits) return misfit(op, in, "takes i32 (B, T) and (B, T, C)");
  const std::int64_t width = in[1]->shape[2];
  // Tables of gradients add many rows: f32, whatever the activations are.
  const DType sums = in[1]->dtype == DType::kF64 ? DType::kF64 : DType::kF32;
  const TensorSpec table{Shape{attributes.rows, width}, sums};
  if (attributes.columns == 0) return signature({table});
  return signature({table, {Shape{attributes.columns, width}, sums}});
}

bool fits_axis(const TensorSpec& spec, const Attributes& attributes) {
  return attributes.axis < spec.shape.rank();
}

Result<Signature> infer_index_select(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 2 && fits_axis(*in[0], attributes) && is_index(in[1]->dtype) &&
                    in[1]->shape.rank() == 1;
  if (!fits) return misfit(op, in, "takes x and i32 or i64 (N), and an axis of x");
  return signature({{in[0]->shape.with(attributes.axis, in[1]->shape[0]), in[0]->dtype}});
}

Result<Signature> infer_index_add(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 2 && is_index(in[0]->dtype) && in[0]->shape.rank() == 1 &&
                    is_floating(in[1]->dtype) && fits_axis(*in[1], attributes) &&
                    in[1]->shape[attributes.axis] == in[0]->shape[0] && attributes.rows >= 0;
  if (!fits) return misfit(op, in, "takes i32 or i64 (N) and a source of extent N along the axis");
  return signature({{in[1]->shape.with(attributes.axis, attributes.rows), in[1]->dtype}});
}

/// Everywhere but along `axis`, the index is no larger than x: here, exactly as large.
bool fits_gather(const Shape& x, const Shape& index, std::size_t axis) {
  return x.rank() == index.rank() && axis < x.rank() && x.with(axis, index[axis]) == index;
}

Result<Signature> infer_gather(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 2 && is_index(in[1]->dtype) &&
                    fits_gather(in[0]->shape, in[1]->shape, attributes.axis);
  if (!fits) return misfit(op, in, "takes x and an index of x's shape but for the axis");
  return signature({{in[1]->shape, in[0]->dtype}});
}

Result<Signature> infer_scatter_add(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 2 && is_index(in[0]->dtype) && is_floating(in[1]->dtype) &&
                    in[0]->shape == in[1]->shape && fits_axis(*in[1], attributes) &&
                    attributes.rows >= 0;
  if (!fits) return misfit(op, in, "takes an index and a source of one shape, and an axis");
  return signature({{in[1]->shape.with(attributes.axis, attributes.rows), in[1]->dtype}});
}

Result<Signature> infer_top_k(Op op, Specs in, const Attributes& attributes) {
  const bool fits = in.size() == 1 && all_floating(in) && in[0]->shape.rank() >= 1 &&
                    attributes.rows >= 1 && attributes.rows <= in[0]->shape.back();
  if (!fits) return misfit(op, in, "takes (.., N) with 1 <= k <= N");
  const Shape out = in[0]->shape.with_back(attributes.rows);
  return signature({{out, in[0]->dtype}, {out, DType::kI32}});
}

Result<Signature> infer_arg_max(Op op, Specs in, const Attributes&) {
  const bool fits =
      in.size() == 1 && all_floating(in) && in[0]->shape.rank() >= 1 && in[0]->shape.back() >= 1;
  if (!fits) return misfit(op, in, "takes (.., N) with N >= 1");
  return signature({{in[0]->shape.without(in[0]->shape.rank() - 1), DType::kI32}});
}

double rows_read(Op, Specs in, const Signature&, const Attributes&) {
  return 2.0 * static_cast<double>(in[1]->shape.elements());
}

constexpr Rule kRules[] = {
    {Op::kEmbedding, "embedding", infer_embedding, per_element<1>},
    {Op::kEmbeddingGrad, "embedding_grad", infer_embedding_grad, rows_read},
    {Op::kIndexSelect, "index_select", infer_index_select, per_element<0>},
    {Op::kIndexAdd, "index_add", infer_index_add, rows_read},
    {Op::kGather, "gather", infer_gather, per_element<0>},
    {Op::kScatterAdd, "scatter_add", infer_scatter_add, rows_read},
    {Op::kTopK, "top_k", infer_top_k, per_input<2>},
    {Op::kArgMax, "arg_max", infer_arg_max, per_input<1>},
};

}  // namespace

std::span<const Rule> index_rules() { return kRules; }

}  // namespace reef::ops
