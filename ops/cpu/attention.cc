#include <cmath>
#include <optional>

#include "ops/catalog/draw.h"
#include "ops/cpu/gemm.h"
#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

// One task is one (sample, head). Within it, a block of kQueryRows query rows meets the keys up to
// its own last row, so that about half of the score matrix is never computed. Blocks go in order,
// hence so do the contributions to the gradients of keys and values.

namespace reef::ops::cpu {

namespace {

struct Geometry {
  std::int64_t samples, length, heads, width, stride;  ///< stride of a row of qkv
  float scale;

  explicit Geometry(const Tensor& qkv, std::int64_t heads_given)
      : samples(qkv.shape()[0]),
        length(qkv.shape()[1]),
        heads(heads_given),
        width(qkv.shape()[2] / 3 / heads_given),
        stride(qkv.shape()[2]),
        scale(1.0f / std::sqrt(static_cast<float>(width))) {}
  std::int64_t channels() const { return heads * width; }
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

}  // namespace

void attention(const Call& call) {
  const VectorKernels& vector = vector_kernels();
  const Geometry g(call.in[0], call.attributes.heads);
  const Mask mask(call.attributes.draw, g);
  const float* qkv = call.in[0].data<float>();
  float* out = call.out[0].data<float>();
  float* sums = call.out[1].data<float>();
  call.context.parallel_for(static_cast<std::size_t>(g.samples * g.heads), [&](std::size_t task) {
    const std::int64_t sample = static_cast<std::int64_t>(task) / g.heads;
    const std::int64_t head = static_cast<std::int64_t>(task) % g.heads;
    const float* q = qkv + sample * g.length * g.stride + head * g.width;
    const float* k = q + g.channels();
    const float* v = k + g.channels();
    float* o = out + sample * g.length * g.channels() + head * g.width;
    float* sum = sums + static_cast<std::int64_t>(task) * g.length;
    const auto scratch = call.context.pool().allocate(
        static_cast<std::size_t>(kQueryRows * g.length) * sizeof(float));
    float* s = floats(scratch);
    for (std::int64_t first = 0; first < g.length; first += kQueryRows) {
      const std::int64_t count = std::min(kQueryRows, g.length - first);
      const std::int64_t keys = first + count;
      gemm(false, true, count, keys, g.width, q + first * g.stride, g.stride, k, g.stride, 0, s,
           keys);
      for (std::int64_t row = 0; row < count; ++row) {
        sum[first + row] = vector.softmax(first + row + 1, keys, g.scale, s + row * keys);
      }
      mask.apply(sample, head, first, count, keys, s);
      gemm(false, false, count, g.width, keys, s, keys, v, g.stride, 0, o + first * g.channels(),
           g.channels());
    }
  });
}

// With P the weights, M the dropout factors and O = (P M) V:
//   dV = (P M)^T dO      dP = (dO V^T) M      dS = P (dP - rowsum(dO O)) scale
//   dQ = dS K            dK = dS^T Q
void attention_grad(const Call& call) {
  const VectorKernels& vector = vector_kernels();
  const Geometry g(call.in[0], call.attributes.heads);
  const Mask mask(call.attributes.draw, g);
  const float* qkv = call.in[0].data<float>();
  const float* out = call.in[1].data<float>();
  const float* sums = call.in[2].data<float>();
  const float* grad = call.in[3].data<float>();
  float* grad_qkv = call.out[0].data<float>();
  call.context.parallel_for(static_cast<std::size_t>(g.samples * g.heads), [&](std::size_t task) {
    const std::int64_t sample = static_cast<std::int64_t>(task) / g.heads;
    const std::int64_t head = static_cast<std::int64_t>(task) % g.heads;
    const std::int64_t offset = sample * g.length * g.stride + head * g.width;
    const std::int64_t out_offset = sample * g.length * g.channels() + head * g.width;
    const float* q = qkv + offset;
    const float* k = q + g.channels();
    const float* v = k + g.channels();
    float* dq = grad_qkv + offset;
    float* dk = dq + g.channels();
    float* dv = dk + g.channels();
    const float* sum = sums + static_cast<std::int64_t>(task) * g.length;
    const std::size_t block = static_cast<std::size_t>(kQueryRows * g.length);
    const auto scratch = call.context.pool().allocate(2 * block * sizeof(float));
    float* p = floats(scratch);
    float* dp = p + block;
    for (std::int64_t row = 0; row < g.length; ++row) {
      std::fill_n(dk + row * g.stride, g.width, 0.0f);
      std::fill_n(dv + row * g.stride, g.width, 0.0f);
    }
    for (std::int64_t first = 0; first < g.length; first += kQueryRows) {
      const std::int64_t count = std::min(kQueryRows, g.length - first);
      const std::int64_t keys = first + count;
      const float* o = out + out_offset + first * g.channels();
      const float* d_o = grad + out_offset + first * g.channels();
      gemm(false, true, count, keys, g.width, q + first * g.stride, g.stride, k, g.stride, 0, p,
           keys);
      for (std::int64_t row = 0; row < count; ++row) {
        vector.softmax_again(first + row + 1, keys, g.scale, sum[first + row], p + row * keys);
      }
      gemm(false, true, count, keys, g.width, d_o, g.channels(), v, g.stride, 0, dp, keys);
      mask.apply(sample, head, first, count, keys, dp);
      if (!mask.active()) {
        gemm(true, false, keys, g.width, count, p, keys, d_o, g.channels(), 1, dv, g.stride);
      }
      // dS replaces dP; P is needed whole until then.
      for (std::int64_t row = 0; row < count; ++row) {
        const float d = vector.dot(g.width, d_o + row * g.channels(), o + row * g.channels());
        vector.softmax_grad(keys, p + row * keys, dp + row * keys, d, g.scale, dp + row * keys);
      }
      gemm(false, false, count, g.width, keys, dp, keys, k, g.stride, 0, dq + first * g.stride,
           g.stride);
      gemm(true, false, keys, g.width, count, dp, keys, q + first * g.stride, g.stride, 1, dk,
           g.stride);
      if (mask.active()) {
        mask.apply(sample, head, first, count, keys, p);
        gemm(true, false, keys, g.width, count, p, keys, d_o, g.channels(), 1, dv, g.stride);
      }
    }
  });
}

}  // namespace reef::ops::cpu
