#include <cmath>
#include <optional>

#include "ops/catalog/draw.h"
#include "ops/cpu/gemm/gemm.h"
#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

// One task is one (sample, head). Within it, a block of kQueryRows query rows meets the keys up to
// its own last row, so that about half of the score matrix is never computed. Blocks go in order,
// hence so do the contributions to the gradients of keys and values.

namespace reef::ops::cpu {

namespace {

struct Geometry {
  std::int64_t samples, length, heads, width;
  float scale;

  explicit Geometry(const Tensor& q)
      : samples(q.shape()[0]),
        length(q.shape()[1]),
        heads(q.shape()[2]),
        width(q.shape()[3]),
        scale(1.0f / std::sqrt(static_cast<float>(width))) {}
};

/// One head of one sample within (B, T, H, D), and the step to its next row.
struct Rows {
  float* at;
  std::int64_t stride;
  Rows(const Tensor& tensor, std::int64_t sample, std::int64_t head)
      : at(tensor.data<float>() + sample * tensor.stride(0) + head * tensor.stride(2)),
        stride(tensor.stride(1)) {}
  float* row(std::int64_t index) const { return at + index * stride; }
};

/// Multiplies rows [first, first + count) of the weights, (count, columns), by their dropout
/// factors.
class Mask {
 public:
  Mask(const Draw& draw, const Geometry& geometry) : draw_(draw), geometry_(geometry) {
    if (draw.probability > 0) stream_.emplace(dropout_stream(draw));
  }
  bool active() const { return stream_.has_value(); }
  void apply(std::int64_t sample, std::int64_t head, std::int64_t first, std::int64_t count,
             std::int64_t columns, float* weights) const {
    if (!active()) return;
    for (std::int64_t row = 0; row < count; ++row) {
      const std::int64_t base = (head * geometry_.length + first + row) * geometry_.length;
      for (std::int64_t column = 0; column <= first + row; ++column) {
        weights[row * columns + column] *=
            dropout_factor(*stream_, draw_, draw_.first_sample + static_cast<std::uint64_t>(sample),
                           static_cast<std::uint64_t>(base + column));
      }
    }
  }

 private:
  const Draw& draw_;
  const Geometry& geometry_;
  std::optional<Random> stream_;
};

float* floats(const std::shared_ptr<std::byte>& block) {
  return reinterpret_cast<float*>(block.get());
}

/// Row-major C = op(A) op(B) + beta C with op(A) (m, k), op(B) (k, n).
void gemm(Pool& pool, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
          int beta, float* c, std::int64_t ldc) {
  gemm_inline(pool, {.rows = m,
                     .columns = n,
                     .inner = k,
                     .a = {a, DType::kF32, transpose_a ? 1 : lda, transpose_a ? lda : 1},
                     .b = {b, DType::kF32, transpose_b ? 1 : ldb, transpose_b ? ldb : 1},
                     .c = {c, DType::kF32, ldc},
                     .accumulate = beta != 0});
}

}  // namespace

void attention(const Call& call) {
  const VectorKernels& vector = vector_kernels();
  Pool& pool = call.context.pool();
  const Geometry g(call.in[0]);
  const Mask mask(call.attributes.draw, g);
  float* sums = call.out[1].data<float>();
  call.context.parallel_for(static_cast<std::size_t>(g.samples * g.heads), [&](std::size_t task) {
    const std::int64_t sample = static_cast<std::int64_t>(task) / g.heads;
    const std::int64_t head = static_cast<std::int64_t>(task) % g.heads;
    const Rows q(call.in[0], sample, head);
    const Rows k(call.in[1], sample, head);
    const Rows v(call.in[2], sample, head);
    const Rows o(call.out[0], sample, head);
    float* sum = sums + static_cast<std::int64_t>(task) * g.length;
    const auto scratch =
        pool.allocate(static_cast<std::size_t>(kQueryRows * g.length) * sizeof(float));
    float* s = floats(scratch);
    for (std::int64_t first = 0; first < g.length; first += kQueryRows) {
      const std::int64_t count = std::min(kQueryRows, g.length - first);
      const std::int64_t keys = first + count;
      gemm(pool, false, true, count, keys, g.width, q.row(first), q.stride, k.at, k.stride, 0, s,
           keys);
      for (std::int64_t row = 0; row < count; ++row) {
        sum[first + row] = vector.softmax(first + row + 1, keys, g.scale, s + row * keys);
      }
      mask.apply(sample, head, first, count, keys, s);
      gemm(pool, false, false, count, g.width, keys, s, keys, v.at, v.stride, 0, o.row(first),
           o.stride);
    }
  });
}

// With P the weights, M the dropout factors and O = (P M) V:
//   dV = (P M)^T dO      dP = (dO V^T) M      dS = P (dP - rowsum(dO O)) scale
//   dQ = dS K            dK = dS^T Q
void attention_grad(const Call& call) {
  const VectorKernels& vector = vector_kernels();
  Pool& pool = call.context.pool();
  const Geometry g(call.in[0]);
  const Mask mask(call.attributes.draw, g);
  const float* sums = call.in[4].data<float>();
  call.context.parallel_for(static_cast<std::size_t>(g.samples * g.heads), [&](std::size_t task) {
    const std::int64_t sample = static_cast<std::int64_t>(task) / g.heads;
    const std::int64_t head = static_cast<std::int64_t>(task) % g.heads;
    const Rows q(call.in[0], sample, head);
    const Rows k(call.in[1], sample, head);
    const Rows v(call.in[2], sample, head);
    const Rows out(call.in[3], sample, head);
    const Rows grad(call.in[5], sample, head);
    const Rows dq(call.out[0], sample, head);
    const Rows dk(call.out[1], sample, head);
    const Rows dv(call.out[2], sample, head);
    const float* sum = sums + static_cast<std::int64_t>(task) * g.length;
    const std::size_t block = static_cast<std::size_t>(kQueryRows * g.length);
    const auto scratch = pool.allocate(2 * block * sizeof(float));
    float* p = floats(scratch);
    float* dp = p + block;
    for (std::int64_t row = 0; row < g.length; ++row) {
      std::fill_n(dk.row(row), g.width, 0.0f);
      std::fill_n(dv.row(row), g.width, 0.0f);
    }
    for (std::int64_t first = 0; first < g.length; first += kQueryRows) {
      const std::int64_t count = std::min(kQueryRows, g.length - first);
      const std::int64_t keys = first + count;
      gemm(pool, false, true, count, keys, g.width, q.row(first), q.stride, k.at, k.stride, 0, p,
           keys);
      for (std::int64_t row = 0; row < count; ++row) {
        vector.softmax_again(first + row + 1, keys, g.scale, sum[first + row], p + row * keys);
      }
      gemm(pool, false, true, count, keys, g.width, grad.row(first), grad.stride, v.at, v.stride, 0,
           dp, keys);
      mask.apply(sample, head, first, count, keys, dp);
      if (!mask.active()) {
        gemm(pool, true, false, keys, g.width, count, p, keys, grad.row(first), grad.stride, 1,
             dv.at, dv.stride);
      }
      // dS replaces dP; P is needed whole until then.
      for (std::int64_t row = 0; row < count; ++row) {
        const float d = vector.dot(g.width, grad.row(first + row), out.row(first + row));
        vector.softmax_grad(keys, p + row * keys, dp + row * keys, d, g.scale, dp + row * keys);
      }
      gemm(pool, false, false, count, g.width, keys, dp, keys, k.at, k.stride, 0, dq.row(first),
           dq.stride);
      gemm(pool, true, false, keys, g.width, count, dp, keys, q.row(first), q.stride, 1, dk.at,
           dk.stride);
      if (mask.active()) {
        mask.apply(sample, head, first, count, keys, p);
        gemm(pool, true, false, keys, g.width, count, p, keys, grad.row(first), grad.stride, 1,
             dv.at, dv.stride);
      }
    }
  });
}

}  // namespace reef::ops::cpu
