#include "ops/cpu/gemm/gemm.h"

#include <algorithm>

#include "ops/cpu/gemm/engine.h"
#include "ops/cpu/gemm/onednn.h"
#include "runtime/base/check.h"

namespace reef::ops::cpu {

namespace {

/// Multiply-adds from which one product of a batch feeds all workers by itself.
constexpr std::int64_t kLargeProduct = std::int64_t{1} << 26;

void check(const MatrixProduct& product) {
  CHECK(!product.accumulate ||
        (product.c.dtype == DType::kF32 && product.residual.data == nullptr &&
         product.activation == Activation::kNone))
      << "sums can only be accumulated in f32 and before an activation";
  CHECK(product.residual.data == nullptr || product.residual.data != product.c.data)
      << "a residual is read after the sums stand in c";
}

void multiply_best(const Workers& workers, const MatrixProduct& product,
                   const Tiling& tiling = {}) {
  const bool both_bf16 = product.a.dtype == DType::kBF16 && product.b.dtype == DType::kBF16;
  if (both_bf16 && has_bf16_products() && multiply_by_onednn(micro_kernels(), workers, product)) {
    return;
  }
  multiply(micro_kernels(), workers, product, tiling);
}

template <typename Byte>
Byte* shifted(Byte* data, DType dtype, std::int64_t offset) {
  return data + offset * static_cast<std::int64_t>(size_of(dtype));
}

MatrixProduct at_index(const MatrixProduct& product, std::span<const BatchAxis> axes,
                       std::int64_t index) {
  std::int64_t a = 0;
  std::int64_t b = 0;
  std::int64_t c = 0;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    const std::int64_t at = index % axis->count;
    index /= axis->count;
    a += at * axis->a_stride;
    b += at * axis->b_stride;
    c += at * axis->c_stride;
  }
  MatrixProduct shifted_product = product;
  shifted_product.a.data =
      shifted(static_cast<const std::byte*>(product.a.data), product.a.dtype, a);
  shifted_product.b.data =
      shifted(static_cast<const std::byte*>(product.b.data), product.b.dtype, b);
  shifted_product.c.data = shifted(static_cast<std::byte*>(product.c.data), product.c.dtype, c);
  return shifted_product;
}

}  // namespace

void gemm(Context& context, const MatrixProduct& product, const Tiling& tiling) {
  check(product);
  multiply_best({context.pool(), &context}, product, tiling);
}

double largest_share(std::size_t workers, const MatrixProduct& product, const Tiling& tiling) {
  const Cut cut = cut_of(micro_kernels(), product, tiling);
  const Index rows = std::min(cut.rows, product.rows);
  const Index columns = std::min(cut.columns, product.columns);
  if (rows == 0 || columns == 0) return 0;
  const auto all = static_cast<Index>(workers);
  const Index tiles =
      ((product.rows + rows - 1) / rows) * ((product.columns + columns - 1) / columns);
  return static_cast<double>((tiles + all - 1) / all) * static_cast<double>(rows * columns);
}

void gemm_inline(Pool& pool, const MatrixProduct& product) {
  check(product);
  multiply_best({pool}, product);
}

void gemm_batch(Context& context, const MatrixProduct& product, std::span<const BatchAxis> axes) {
  CHECK(product.residual.data == nullptr && product.pre_activation.data == nullptr)
      << "matrices of an epilogue have no batch strides";
  std::int64_t count = 1;
  for (const BatchAxis& axis : axes) count *= axis.count;
  if (product.rows * product.columns * product.inner >= kLargeProduct) {
    for (std::int64_t i = 0; i < count; ++i) gemm(context, at_index(product, axes, i));
    return;
  }
  context.parallel_for(static_cast<std::size_t>(count), [&](std::size_t i) {
    gemm_inline(context.pool(), at_index(product, axes, static_cast<std::int64_t>(i)));
  });
}

}  // namespace reef::ops::cpu
