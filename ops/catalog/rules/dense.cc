#include "ops/catalog/rules.h"

namespace reef::ops {

namespace {

bool is_matrix(const TensorSpec& spec) { return spec.shape.rank() >= 2; }

/// f32 from bf16 is the one mixed form: sums of gradients keep their precision.
bool may_result_in(DType from, DType to) {
  return to == from || (to == DType::kF32 && (from == DType::kBF16 || from == DType::kF16));
}

Result<Signature> infer_matmul(Op op, Specs in, const Attributes& attributes) {
  if (in.size() < 2 || in.size() > 4 || !all_floating(in.first(2)) || !is_matrix(*in[0]) ||
      !is_matrix(*in[1])) {
    return misfit(op, in, "takes two matrices of one floating dtype, perhaps a bias, a residual");
  }
  const Shape& a = in[0]->shape;
  const Shape& b = in[1]->shape;
  const bool fits = attributes.product == Product::kNN   ? a.back() == b.rows()
                    : attributes.product == Product::kNT ? a.back() == b.back()
                                                         : a.rows() == b.rows();
  if (!fits) return misfit(op, in, "inner extents differ");
  if (!may_result_in(in[0]->dtype, attributes.to)) {
    return misfit(op, in, "results in the dtype of its operands, or in f32");
  }
  const std::int64_t columns = attributes.product == Product::kNT ? b.rows() : b.back();
  const TensorSpec out{
      attributes.product == Product::kTN ? Shape{a.back(), columns} : a.with_back(columns),
      attributes.to};
  if (in.size() > 2 && (in[2]->shape != Shape{columns} || !is_floating(in[2]->dtype))) {
    return misfit(op, in, "bias does not fit");
  }
  if (in.size() > 3 && *in[3] != out) return misfit(op, in, "residual does not fit");
  const bool keeps = attributes.keep && attributes.activation != Activation::kNone;
  return keeps ? signature({out, out}) : signature({out});
}

double matmul_flops(Op, Specs in, const Signature& out, const Attributes& attributes) {
  const Shape& a = in[0]->shape;
  const std::int64_t inner = attributes.product == Product::kTN ? a.rows() : a.back();
  return 2.0 * static_cast<double>(inner) * static_cast<double>(out.outputs[0].shape.elements());
}

/// Extents of the last two axes, seen as `product` sees them.
struct Matrices {
  std::int64_t m, n, k, other_k;
};
Matrices matrices_of(const Shape& a, const Shape& b, Product product) {
  const std::int64_t a_rows = a[a.rank() - 2];
  const std::int64_t b_rows = b[b.rank() - 2];
  switch (product) {
    case Product::kNT:
      return {a_rows, b_rows, a.back(), b.back()};
    case Product::kTN:
      return {a.back(), b.back(), a_rows, b_rows};
    case Product::kNN:
      break;
  }
  return {a_rows, b.back(), a.back(), b_rows};
}

Result<Signature> infer_batch_matmul(Op op, Specs in, const Attributes& attributes) {
  if (in.size() != 2 || !all_floating(in) || !is_matrix(*in[0]) ||
      in[0]->shape.rank() != in[1]->shape.rank()) {
    return misfit(op, in, "takes two batches of matrices of one floating dtype");
  }
  const Shape& a = in[0]->shape;
  const Shape& b = in[1]->shape;
  for (std::size_t axis = 0; axis + 2 < a.rank(); ++axis) {
    if (a[axis] != b[axis]) return misfit(op, in, "batch shapes differ");
  }
  const Matrices extents = matrices_of(a, b, attributes.product);
  if (extents.k != extents.other_k) return misfit(op, in, "inner extents differ");
  return signature({{a.with(a.rank() - 2, extents.m).with_back(extents.n), in[0]->dtype}});
}

double batch_matmul_flops(Op, Specs in, const Signature& out, const Attributes& attributes) {
  const Matrices extents = matrices_of(in[0]->shape, in[1]->shape, attributes.product);
  return 2.0 * static_cast<double>(extents.k) *
         static_cast<double>(out.outputs[0].shape.elements());
}

/// In what sums over rows are kept.
DType sums_of(DType dtype) { return dtype == DType::kF64 ? DType::kF64 : DType::kF32; }

Result<Signature> infer_column_sum(Op op, Specs in, const Attributes&) {
  if (in.size() != 1 || !all_floating(in) || in[0]->shape.rank() < 1) {
    return misfit(op, in, "takes (.., C)");
  }
  return signature({{Shape{in[0]->shape.back()}, sums_of(in[0]->dtype)}});
}

Result<Signature> infer_linear_cross_entropy(Op op, Specs in, const Attributes&) {
  const bool fits = in.size() == 3 && all_floating(in.first(2)) && in[0]->shape.rank() >= 2 &&
                    in[1]->shape.rank() == 2 && in[1]->shape.back() == in[0]->shape.back() &&
                    in[2]->dtype == DType::kI32 && in[2]->shape.elements() == in[0]->shape.rows();
  if (!fits) return misfit(op, in, "takes (.., C), (V, C) and as many i32 targets as rows");
  return signature(
      {{Shape{in[0]->shape.rows()}, DType::kF64}, *in[0], {in[1]->shape, sums_of(in[1]->dtype)}});
}

double linear_cross_entropy_flops(Op, Specs in, const Signature&, const Attributes&) {
  // The product forward, and one each for the gradients of its operands.
  return 6.0 * static_cast<double>(in[0]->shape.elements()) * static_cast<double>(in[1]->shape[0]);
}

constexpr Rule kRules[] = {
    {Op::kMatmul, "matmul", infer_matmul, matmul_flops},
    {Op::kBatchMatmul, "batch_matmul", infer_batch_matmul, batch_matmul_flops},
    {Op::kColumnSum, "column_sum", infer_column_sum, per_input<1>},
    {Op::kLinearCrossEntropy, "linear_cross_entropy", infer_linear_cross_entropy,
     linear_cross_entropy_flops},
};

}  // namespace

std::span<const Rule> dense_rules() { return kRules; }

}  // namespace reef::ops
