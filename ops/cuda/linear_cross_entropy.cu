// The language-model head with its loss: logits of a block of rows at a time.

#include <algorithm>

#include "ops/cuda/blas.h"
#include "ops/cuda/context.h"
#include "ops/cuda/cross_entropy.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/move.h"

namespace reef::ops::cuda {

namespace {

/// Logits of one block of rows; large enough for full products, small beside the activations.
constexpr std::int64_t kBlockLogits = std::int64_t{1} << 25;
/// Rows come in whole tiles of the products.
constexpr std::int64_t kRowTile = 128;

std::int64_t rows_of_block(std::int64_t vocabulary) {
  return std::max<std::int64_t>(1, kBlockLogits / vocabulary / kRowTile) * kRowTile;
}

void multiply(const Call& call, const Gemm& gemm) {
  const bool done = context_of(call).blas().multiply(stream_of(call), gemm);
  CHECK(done) << "cuBLASLt has no algorithm for " << gemm.rows << " x " << gemm.inner << " x "
              << gemm.columns << " of " << name_of(gemm.dtype);
}

/// The walk over blocks of rows. Logits and the weight's gradient are f32 for 16-bit operands.
template <typename M>
class Head {
 public:
  using V = Compute<M>;

  explicit Head(const Call& call)
      : call_(call),
        dtype_(call.in[0].dtype()),
        sums_dtype_(call.out[2].dtype()),
        rows_(call.in[0].shape().rows()),
        width_(call.in[0].shape().back()),
        vocabulary_(call.in[1].shape()[0]),
        block_rows_(std::min(rows_, rows_of_block(vocabulary_))),
        logits_(Tensor::empty(call.context.pool(), sums_dtype_, {block_rows_, vocabulary_})),
        slopes_(dtype_ == sums_dtype_
                    ? logits_
                    : Tensor::empty(call.context.pool(), dtype_, {block_rows_, vocabulary_})) {}

  void run() {
    for (std::int64_t first = 0; first < rows_; first += block_rows_) {
      block(first, std::min(block_rows_, rows_ - first));
    }
  }

 private:
  /// logits = x weight^T; losses and slopes; x grad = slopes weight; weight grad += slopes^T x.
  void block(std::int64_t first, std::int64_t rows) {
    const Operand x{memory_of<M>(call_.in[0]) + first * width_, width_, 0, false};
    const Operand weight{call_.in[1].raw(), width_, 0, false};
    const Operand slopes{slopes_.raw(), vocabulary_, 0, false};
    Gemm logits = product(rows, vocabulary_, width_, x, weight);
    logits.b.transposed = true;
    logits.result = sums_dtype_;
    logits.c = logits_.raw();
    multiply(call_, logits);

    const std::int32_t* targets = memory_of<std::int32_t>(call_.in[2]) + first;
    cross_entropy_kernel<V, M>
        <<<one_block_each(rows), row_threads(vocabulary_), 0, stream_of(call_)>>>(
            memory_of<V>(logits_), targets, memory_of<double>(call_.out[0]) + first,
            memory_of<M>(slopes_), vocabulary_, call_.attributes.scale);
    ATOLL_CUDA(cudaGetLastError());

    Gemm x_grad = product(rows, width_, vocabulary_, slopes, weight);
    x_grad.c = memory_of<M>(call_.out[1]) + first * width_;
    multiply(call_, x_grad);

    Gemm weight_grad = product(vocabulary_, width_, rows, slopes, x);
    weight_grad.a.transposed = true;
    weight_grad.result = sums_dtype_;
    weight_grad.c = call_.out[2].raw();
    weight_grad.addend = first > 0 ? weight_grad.c : nullptr;
    multiply(call_, weight_grad);
  }

  Gemm product(std::int64_t rows, std::int64_t columns, std::int64_t inner, const Operand& a,
               const Operand& b) const {
    Gemm gemm;
    gemm.rows = rows;
    gemm.columns = columns;
    gemm.inner = inner;
    gemm.a = a;
    gemm.b = b;
    gemm.dtype = gemm.result = dtype_;
    return gemm;
  }

  const Call& call_;
  DType dtype_, sums_dtype_;
  std::int64_t rows_, width_, vocabulary_, block_rows_;
  Tensor logits_;  // (block rows, V)
  Tensor slopes_;  // (block rows, V); logits_ when they have the dtype
};

}  // namespace

void linear_cross_entropy(const Call& call) {
  const Tensor& x = call.in[0];
  const Tensor& weight = call.in[1];
  if (x.elements() == 0 || weight.elements() == 0) {
    for (const Tensor& out : call.out) fill_elements(stream_of(call), out, 0);
    return;
  }
  visit_floating(x.dtype(), [&](auto type) { Head<typename decltype(type)::Type>(call).run(); });
}

}  // namespace reef::ops::cuda
