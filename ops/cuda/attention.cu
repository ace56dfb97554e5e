// Reads the calls of kAttention and kAttentionGrad and picks their kernels.

#include "ops/cuda/attention.cuh"

#include <cmath>
#include <vector>

#include "ops/cuda/kernels.h"
#include "ops/cuda/move.h"

namespace reef::ops::cuda {

namespace {

constexpr std::int64_t kWidest = 128;  ///< head that the tiled kernels take

/// The kernels want D dense; whatever else may be strided.
Tensor dense(const Call& call, const Tensor& tensor) {
  return tensor.stride(3) == 1 || tensor.shape()[3] == 1 ? tensor : row_major(call, tensor);
}

/// The outputs of a call, by way of dense ones where D is strided.
class Outputs {
 public:
  Outputs(const Call& call, std::size_t count) : call_(call) {
    for (std::size_t i = 0; i < count; ++i) {
      const Tensor& out = call.out[i];
      const bool fits = out.stride(3) == 1 || out.shape()[3] == 1;
      dense_.push_back(fits ? out : Tensor::empty(call.context.pool(), out.dtype(), out.shape()));
    }
  }
  const Tensor& operator[](std::size_t i) const { return dense_[i]; }
  void store() const {
    for (std::size_t i = 0; i < dense_.size(); ++i) {
      if (!dense_[i].shares(call_.out[i])) copy_elements(stream_of(call_), dense_[i], call_.out[i]);
    }
  }

 private:
  const Call& call_;
  std::vector<Tensor> dense_;
};

Attending attending(const Call& call, std::size_t mask_at) {
  const Shape& q = call.in[0].shape();
  const Shape& k = call.in[1].shape();
  const double scale = call.attributes.scale;
  Attending a{q[0],
              q[1],
              k[1],
              q[2],
              k[2],
              q[3],
              call.attributes.causal,
              scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(q[3])),
              nullptr,
              nullptr,
              0,
              0,
              Factors(call.attributes.draw)};
  if (call.in.size() <= mask_at) return a;
  const Tensor& mask = call.in[mask_at];
  a.mask_batch = mask.stride(0);
  if (mask.dtype() == DType::kI32) {
    a.lengths = memory_of<const std::int32_t>(mask);
  } else {
    a.visible = memory_of<const Bool>(mask);
    a.mask_key = mask.stride(1);
  }
  return a;
}

template <typename M>
void forward(const Call& call) {
  const Tensor q = dense(call, call.in[0]);
  const Tensor k = dense(call, call.in[1]);
  const Tensor v = dense(call, call.in[2]);
  const Outputs out(call, 1);
  const Tensor sums = call.out[1].is_contiguous()
                          ? call.out[1]
                          : Tensor::empty(call.context.pool(), DType::kF32, call.out[1].shape());
  const Forward<M> p{attending(call, 3),   heads_of<const M>(q), heads_of<const M>(k),
                     heads_of<const M>(v), heads_of<M>(out[0]),  memory_of<float>(sums)};
  if (std::is_same_v<M, double> || p.a.width > kWidest) {
    attention_plain<M>(call, p);
  } else if constexpr (std::is_same_v<M, float>) {
    attention_lanes(call, p);
  } else if constexpr (sizeof(M) == 2) {
    attention_mma<M>(call, p);
  }
  out.store();
  if (!sums.shares(call.out[1])) copy_elements(stream_of(call), sums, call.out[1]);
}

template <typename M>
void backward(const Call& call) {
  const Tensor q = dense(call, call.in[0]);
  const Tensor k = dense(call, call.in[1]);
  const Tensor v = dense(call, call.in[2]);
  const Tensor forward_out = dense(call, call.in[3]);
  const Tensor sums = row_major(call, call.in[4]);
  const Tensor grad = dense(call, call.in[5]);
  const Outputs out(call, 3);
  const Backward<M> p{attending(call, 6),
                      heads_of<const M>(q),
                      heads_of<const M>(k),
                      heads_of<const M>(v),
                      heads_of<const M>(forward_out),
                      heads_of<const M>(grad),
                      memory_of<const float>(sums),
                      heads_of<M>(out[0]),
                      heads_of<M>(out[1]),
                      heads_of<M>(out[2])};
  if (std::is_same_v<M, double> || p.a.width > kWidest) {
    attention_plain_grad<M>(call, p);
  } else if constexpr (std::is_same_v<M, float>) {
    attention_lanes_grad(call, p);
  } else if constexpr (sizeof(M) == 2) {
    attention_mma_grad<M>(call, p);
  }
  out.store();
}

}  // namespace

void attention(const Call& call) {
  const std::int64_t keys = call.in[1].elements();
  if (call.in[0].elements() == 0 || keys == 0) {
    fill_elements(stream_of(call), call.out[0], 0);
    fill_elements(stream_of(call), call.out[1], -INFINITY);
    return;
  }
  visit_floating(call.in[0].dtype(),
                 [&](auto type) { forward<typename decltype(type)::Type>(call); });
}

void attention_grad(const Call& call) {
  if (call.in[0].elements() == 0 || call.in[1].elements() == 0) {
    for (const Tensor& out : call.out) fill_elements(stream_of(call), out, 0);
    return;
  }
  visit_floating(call.in[0].dtype(),
                 [&](auto type) { backward<typename decltype(type)::Type>(call); });
}

}  // namespace reef::ops::cuda
