#include <array>

#include "ops/cpu/gemm/gemm.h"
#include "ops/cpu/kernels.h"

namespace reef::ops::cpu {

namespace {

void check_dtype(const Tensor& tensor) {
  CHECK(tensor.dtype() == DType::kF32 || tensor.dtype() == DType::kBF16)
      << "a product takes f32 and bf16, not " << name_of(tensor.dtype());
}

Output output(const Tensor& tensor) {
  check_dtype(tensor);
  return {tensor.bytes().data(), tensor.dtype(), tensor.shape().back()};
}
Input input(const Tensor& tensor) {
  check_dtype(tensor);
  return {tensor.bytes().data(), tensor.dtype(), tensor.shape().back()};
}
Operand operand(const Tensor& tensor, bool transposed) {
  check_dtype(tensor);
  const std::int64_t stride = tensor.shape().back();
  return {tensor.bytes().data(), tensor.dtype(), transposed ? 1 : stride, transposed ? stride : 1};
}

MatrixProduct product_of(const Call& call) {
  const Tensor& a = call.in[0];
  const bool transpose_a = call.attributes.product == Product::kTN;
  const bool transpose_b = call.attributes.product == Product::kNT;
  MatrixProduct product{.rows = call.out[0].shape().rows(),
                        .columns = call.out[0].shape().back(),
                        .inner = transpose_a ? a.shape().rows() : a.shape().back(),
                        .a = operand(a, transpose_a),
                        .b = operand(call.in[1], transpose_b),
                        .c = output(call.out[0]),
                        .activation = call.attributes.activation};
  if (call.in.size() > 2) product.bias = input(call.in[2]);
  if (call.in.size() > 3) product.residual = input(call.in[3]);
  if (call.out.size() > 1) product.pre_activation = output(call.out[1]);
  return product;
}

template <const Tiling& tiling>
void tiled(const Call& call) {
  gemm(call.context, product_of(call), tiling);
}

template <const Tiling& tiling>
double share(const Call& call) {
  return largest_share(call.context.threads(), product_of(call), tiling);
}

constexpr Key kF32{Op::kMatmul, Device::kCpu, DType::kF32, Layout::kRowMajor};
/// One chain of fused multiply-adds for each block of K, the blocks added in order: gemm.h. oneDNN
/// cuts K elsewhere and is no candidate.
constexpr NumericClass kChains = 1;

constexpr Tiling kDefault;
constexpr Tiling kTall{.rows = 32, .columns = 12, .packed_rows = 16, .packed_columns = 6};
constexpr Tiling kLow{.rows = 8, .columns = 12, .packed_rows = 4, .packed_columns = 2};
constexpr Tiling kSmall{.rows = 4, .columns = 4, .packed_rows = 2, .packed_columns = 1};

// Large tiles reread the other operand less; small ones divide among workers what is not large.
constexpr Entry kTilings[] = {{kF32, tiled<kDefault>, "16x12", kChains, share<kDefault>},
                              {kF32, tiled<kTall>, "32x12", kChains, share<kTall>},
                              {kF32, tiled<kLow>, "8x12", kChains, share<kLow>},
                              {kF32, tiled<kSmall>, "4x4", kChains, share<kSmall>}};

}  // namespace

void matmul(const Call& call) { tiled<kDefault>(call); }

std::span<const Entry> matmul_tilings() { return kTilings; }

void batch_matmul(const Call& call) {
  const Tensor& a = call.in[0];
  const Tensor& b = call.in[1];
  const Tensor& c = call.out[0];
  const std::size_t last = c.shape().rank() - 1;
  CHECK(c.stride(last) == 1 || c.shape()[last] == 1) << "columns of a result lie side by side";
  const auto view = [last](const Tensor& tensor, bool transposed) {
    const std::int64_t rows = tensor.stride(transposed ? last : last - 1);
    return Operand{tensor.raw(), tensor.dtype(), rows, tensor.stride(transposed ? last - 1 : last)};
  };
  const bool transpose_a = call.attributes.product == Product::kTN;
  const MatrixProduct product{.rows = c.shape()[last - 1],
                              .columns = c.shape()[last],
                              .inner = a.shape()[transpose_a ? last - 1 : last],
                              .a = view(a, transpose_a),
                              .b = view(b, call.attributes.product == Product::kNT),
                              .c = {c.raw(), c.dtype(), c.stride(last - 1)}};
  std::array<BatchAxis, Shape::kMaxRank> axes;
  for (std::size_t axis = 0; axis + 1 < last; ++axis) {
    axes[axis] = {c.shape()[axis], a.stride(axis), b.stride(axis), c.stride(axis)};
  }
  gemm_batch(call.context, product, {axes.data(), last - 1});
}

}  // namespace reef::ops::cpu
