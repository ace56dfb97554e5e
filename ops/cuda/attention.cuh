#pragma once
// What all attention kernels share: where heads lie, what a query sees, how a call is read.
//
// Three kernels serve kAttention and kAttentionGrad, by dtype and width D of a head:
// - attention_mma.cu: bf16 and f16 with D <= 128, on tensor cores;
// - attention_lanes.cu: f32 with D <= 128;
// - attention_plain.cu: the rest (f64, and wider heads), a block for each query or key.
// None keeps scores: memory is linear in the length (Dao 2023, arXiv 2307.08691). The backward pass
// has one kernel that owns queries and one that owns keys, each of which computes the scores again;
// so nothing is added by two blocks and the bits are the same every time, for 7 products instead of
// 5 with atomics.

#include "ops/cuda/block.cuh"
#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/random.cuh"

namespace reef::ops::cuda {

/// Rows of one head, D elements each, side by side.
template <typename M>
struct HeadRows {
  M* data;
  Index stride;
  __device__ M* at(Index row) const { return data + row * stride; }
};

/// (B, T, heads, D), D dense.
template <typename M>
struct Heads {
  M* data;
  Index batch, time, head;
  __device__ HeadRows<M> of(Index b, Index h) const { return {data + b * batch + h * head, time}; }
};

template <typename M>
Heads<M> heads_of(const Tensor& tensor) {
  CHECK(tensor.stride(3) == 1 || tensor.shape()[3] <= 1);
  return {memory_of<M>(tensor), tensor.stride(0), tensor.stride(1), tensor.stride(2)};
}

/// Extents and what a query sees.
struct Attending {
  Index batch, queries, keys, heads, groups, width;
  bool causal;
  double scale;
  const std::int32_t* lengths;  ///< (B), or null
  const Bool* visible;          ///< (B, S), or null
  Index mask_batch, mask_key;   ///< the mask's strides
  Factors dropout;

  __device__ bool sees(Index b, Index query, Index key) const {
    if (query >= queries || key >= keys) return false;
    if (causal && key > query + keys - queries) return false;
    if (lengths != nullptr) return key < lengths[b * mask_batch];
    return visible == nullptr || visible[b * mask_batch + key * mask_key].value != 0;
  }
  /// No query up to `last` sees this key or one after it.
  __device__ Index keys_end(Index last) const {
    const Index end = causal ? last + keys - queries + 1 : keys;
    return end < 0 ? 0 : end < keys ? end : keys;
  }
  /// No query before this one sees `first` or a key after it.
  __device__ Index queries_begin(Index first) const {
    const Index begin = causal ? first - (keys - queries) : 0;
    return begin > 0 ? begin : 0;
  }
  __device__ float factor(Index b, Index h, Index query, Index key) const {
    return dropout.at(b, (h * queries + query) * keys + key);
  }
  __device__ Index heads_per_group() const { return heads / groups; }
};

template <typename M>
struct Forward {
  Attending a;
  Heads<const M> q, k, v;
  Heads<M> out;
  float* log_sum_exp;  // (B, H, T)
};

template <typename M>
struct Backward {
  Attending a;
  Heads<const M> q, k, v, out, grad;
  const float* log_sum_exp;  // (B, H, T)
  Heads<M> q_grad, k_grad, v_grad;
};

/// What a block of a backward kernel goes through: its own rows are queries of one head, or keys of
/// one group; the others are keys, or the queries of all heads of the group.
struct Walk {
  Index group, head, last_head;  ///< heads [head, last_head)
  Index row;                     ///< first of the block's own
  Index rows, others;            ///< extents of both
  Index begin, end;              ///< others that the block's own may see, from a whole tile on

  /// `head_or_group` is the block's; `own` rows, in tiles of `tile` others.
  __device__ Walk(const Attending& a, Index head_or_group, Index first, int own, int tile,
                  bool owns_keys)
      : group(owns_keys ? head_or_group : head_or_group / a.heads_per_group()),
        head(owns_keys ? group * a.heads_per_group() : head_or_group),
        last_head(owns_keys ? head + a.heads_per_group() : head + 1),
        row(first),
        rows(owns_keys ? a.keys : a.queries),
        others(owns_keys ? a.queries : a.keys),
        begin(owns_keys ? a.queries_begin(first) / tile * tile : 0),
        end(owns_keys ? a.queries : a.keys_end((first + own < rows ? first + own : rows) - 1)) {}
};

/// deltas[b, h, t] = grad . out: what each score's gradient is measured from. A warp a row.
template <typename M>
__global__ void attention_delta_kernel(Backward<M> p, Compute<M>* deltas, Index rows) {
  const Index row = Index{blockIdx.x} * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (row >= rows) return;
  const Index t = row % p.a.queries;
  const Index h = row / p.a.queries % p.a.heads;
  const Index b = row / p.a.queries / p.a.heads;
  const M* grad = p.grad.of(b, h).at(t);
  const M* out = p.out.of(b, h).at(t);
  Compute<M> sum = 0;
  for (Index c = threadIdx.x % kWarp; c < p.a.width; c += kWarp) {
    sum += value_of(grad[c]) * value_of(out[c]);
  }
  sum = warp_reduce(sum, Plus{});
  if (threadIdx.x % kWarp == 0) deltas[row] = sum;
}

template <typename M>
void launch_delta(cudaStream_t stream, const Backward<M>& p, Compute<M>* deltas) {
  const Index rows = p.a.batch * p.a.heads * p.a.queries;
  attention_delta_kernel<M>
      <<<one_block_each(ceil_div(rows, kThreads / kWarp)), kThreads, 0, stream>>>(p, deltas, rows);
  ATOLL_CUDA(cudaGetLastError());
}

/// More shared memory than every block may have must be asked for.
template <typename K>
void allow_shared(K kernel, std::size_t bytes) {
  if (bytes <= 48 * 1024) return;
  ATOLL_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(bytes)));
}

/// Blocks for tiles of `rows`, heads and samples.
inline dim3 attention_grid(Index rows, Index tile, Index heads, Index batch) {
  CHECK(heads <= 65535 && batch <= 65535);
  return dim3(one_block_each(ceil_div(rows, tile)), static_cast<unsigned>(heads),
              static_cast<unsigned>(batch));
}

// Extents are positive.

template <typename M>
void attention_plain(const Call& call, const Forward<M>& p);
template <typename M>
void attention_plain_grad(const Call& call, const Backward<M>& p);
void attention_lanes(const Call& call, const Forward<float>& p);
void attention_lanes_grad(const Call& call, const Backward<float>& p);
template <typename M>
void attention_mma(const Call& call, const Forward<M>& p);
template <typename M>
void attention_mma_grad(const Call& call, const Backward<M>& p);

}  // namespace reef::ops::cuda
