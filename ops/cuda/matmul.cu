// Products: cuBLASLt does the sums and, where it can, what follows them; one pointwise kernel does
// the rest.

#include <optional>

#include "ops/cuda/blas.h"
#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/move.h"
#include "ops/primitive/functors.h"

namespace reef::ops::cuda {

namespace {

// --- kernels ---

/// A bias may be of another dtype than the result, known only at run time.
struct Bias {
  const void* data = nullptr;  // (columns), or null
  DType dtype = DType::kF32;
};

template <typename V>
__device__ V bias_at(const Bias& bias, Index column) {
  if (bias.data == nullptr) return 0;
  switch (bias.dtype) {
    case DType::kBF16:
      return static_cast<V>(value_of(static_cast<const BF16*>(bias.data)[column]));
    case DType::kF16:
      return static_cast<V>(value_of(static_cast<const F16*>(bias.data)[column]));
    case DType::kF64:
      return static_cast<V>(static_cast<const double*>(bias.data)[column]);
    default:
      return static_cast<V>(static_cast<const float*>(bias.data)[column]);
  }
}

template <typename V>
__device__ V activated(Activation activation, V x) {
  switch (activation) {
    case Activation::kGelu:
      return primitive::Gelu{}(x);
    case Activation::kSilu:
      return primitive::Silu{}(x);
    case Activation::kRelu:
      return primitive::Relu{}(x);
    case Activation::kNone:
      break;
  }
  return x;
}

/// y = residual + activation(sums + bias), before = sums + bias.
template <typename V, typename M>
__global__ void finish_kernel(const V* sums,      // (rows, columns); may be y
                              Bias bias,          // (columns)
                              const M* residual,  // (rows, columns) or null
                              Activation activation, M* y, M* before, Index count, Index columns) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    V x = sums[i] + bias_at<V>(bias, i % columns);
    if (before != nullptr) before[i] = rounded<M>(x);
    x = activated(activation, x);
    if (residual != nullptr) x += value_of(residual[i]);
    y[i] = rounded<M>(x);
  }
}

// --- launchers ---

/// One call of kMatmul, read from its tensors.
struct Product2d {
  explicit Product2d(const Call& from)
      : call(from),
        out(call.out[0]),
        before(call.out.size() > 1 ? call.out[1].raw() : nullptr),
        bias(call.in.size() > 2 ? &call.in[2] : nullptr),
        residual(call.in.size() > 3 ? &call.in[3] : nullptr) {
    const Product product = call.attributes.product;
    const Shape& a = call.in[0].shape();
    gemm.rows = out.shape().rows();
    gemm.columns = out.shape().back();
    gemm.inner = product == Product::kTN ? a.rows() : a.back();
    gemm.a = {call.in[0].raw(), a.back(), 0, product == Product::kTN};
    gemm.b = {call.in[1].raw(), call.in[1].shape().back(), 0, product == Product::kNT};
    gemm.dtype = call.in[0].dtype();
    gemm.result = out.dtype();
    gemm.c = out.raw();
  }

  bool is_half() const { return out.dtype() == DType::kBF16 || out.dtype() == DType::kF16; }

  /// The same with everything left to cuBLASLt, or nothing when it would not have it. GELU only for
  /// 16-bit results: its tanh is an approximation that f32 would show.
  std::optional<Gemm> fused() const {
    const Activation activation = call.attributes.activation;
    const bool gelu = activation == Activation::kGelu;
    if (gemm.inner == 0 || (activation != Activation::kNone && !gelu)) return {};
    if (gelu && (!is_half() || residual != nullptr || gemm.columns % 8 != 0)) return {};
    if (bias != nullptr && (bias->dtype() != out.dtype() || out.dtype() == DType::kF64)) return {};
    Gemm all = gemm;
    all.bias = bias != nullptr ? bias->raw() : nullptr;
    all.addend = residual != nullptr ? residual->raw() : nullptr;
    all.gelu = gelu;
    all.before = before;
    return all;
  }

  /// Whether the sums are the result.
  bool is_plain() const {
    return bias == nullptr && residual == nullptr &&
           call.attributes.activation == Activation::kNone;
  }

  const Call& call;
  const Tensor& out;
  void* before;
  const Tensor* bias;
  const Tensor* residual;
  Gemm gemm;
};

void sum_products(const Call& call, const Gemm& gemm, const Tensor& c) {
  if (gemm.inner == 0) return fill_elements(stream_of(call), c, 0);
  const bool done = context_of(call).blas().multiply(stream_of(call), gemm);
  CHECK(done) << "cuBLASLt has no algorithm for " << gemm.rows << " x " << gemm.inner << " x "
              << gemm.columns << " of " << name_of(gemm.dtype);
}

void finish(const Product2d& product, const Tensor& sums) {
  const Call& call = product.call;
  const cudaStream_t stream = stream_of(call);
  Bias bias;
  if (product.bias != nullptr) bias = {product.bias->raw(), product.bias->dtype()};
  visit_floating(product.out.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    const M* residual = product.residual != nullptr ? memory_of<M>(*product.residual) : nullptr;
    finish_kernel<<<blocks_for(sums.elements()), kThreads, 0, stream>>>(
        memory_of<const Compute<M>>(sums), bias, residual, call.attributes.activation,
        memory_of<M>(product.out), static_cast<M*>(product.before), sums.elements(),
        product.gemm.columns);
  });
  ATOLL_CUDA(cudaGetLastError());
}

/// How the last two axes and the batch of a tensor lie, if cuBLASLt can walk them so: one of the
/// two axes is dense, and all axes before them are one.
std::optional<Operand> operand_of(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  const std::size_t row = shape.rank() - 2;
  const std::int64_t row_step = tensor.stride(row);
  const std::int64_t column_step = tensor.stride(row + 1);
  Operand operand{tensor.raw(), 0, 0, false};
  if ((column_step == 1 || shape[row + 1] == 1) &&
      (row_step >= shape[row + 1] || shape[row] == 1)) {
    operand.row_stride = row_step;
  } else if ((row_step == 1 || shape[row] == 1) && column_step >= shape[row]) {
    operand.row_stride = column_step;
    operand.transposed = true;
  } else {
    return {};
  }
  std::int64_t count = 1;
  for (std::size_t axis = row; axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (count == 1) operand.batch_stride = tensor.stride(axis);
    if (tensor.stride(axis) != operand.batch_stride * count) return {};
    count *= shape[axis];
  }
  return operand;
}

/// The operand, by way of a row-major copy that `keep` holds when it must be.
Operand operand_or_copy(const Call& call, const Tensor& tensor, Tensor& keep) {
  if (const std::optional<Operand> direct = operand_of(tensor)) return *direct;
  keep = row_major(call, tensor);
  return operand_of(keep).value();
}

}  // namespace

void matmul(const Call& call) {
  const Product2d product(call);
  if (product.out.elements() == 0) return;
  const std::optional<Gemm> fused = product.fused();
  if (fused && context_of(call).blas().multiply(stream_of(call), *fused)) return;
  if (product.is_plain()) return sum_products(call, product.gemm, product.out);
  // 16-bit results are rounded once, after everything.
  const Tensor sums = product.is_half()
                          ? Tensor::empty(call.context.pool(), DType::kF32, product.out.shape())
                          : product.out;
  Gemm gemm = product.gemm;
  gemm.c = sums.raw();
  gemm.result = sums.dtype();
  sum_products(call, gemm, sums);
  finish(product, sums);
}

void batch_matmul(const Call& call) {
  const Tensor& out = call.out[0];
  if (out.elements() == 0) return;
  const Shape& shape = out.shape();
  const Product product = call.attributes.product;
  const Shape& a = call.in[0].shape();
  const Tensor result =
      out.is_contiguous() ? out : Tensor::empty(call.context.pool(), out.dtype(), shape);
  Tensor kept[2];
  Gemm gemm;
  gemm.rows = shape[shape.rank() - 2];
  gemm.columns = shape.back();
  gemm.batch = out.elements() / (gemm.rows * gemm.columns);
  gemm.inner = product == Product::kTN ? a[a.rank() - 2] : a.back();
  gemm.dtype = gemm.result = out.dtype();
  gemm.c = result.raw();
  if (gemm.inner > 0) {
    gemm.a = operand_or_copy(call, call.in[0], kept[0]);
    gemm.b = operand_or_copy(call, call.in[1], kept[1]);
    gemm.a.transposed ^= product == Product::kTN;
    gemm.b.transposed ^= product == Product::kNT;
  }
  sum_products(call, gemm, result);
  if (!out.is_contiguous()) copy_elements(stream_of(call), result, out);
}

}  // namespace reef::ops::cuda
