// Attention for any width and dtype, a block for each query (or key): slower than its siblings, and
// short. Scores are computed once for the sums, and again for each kPlainThreads columns.

#include <cfloat>

#include "ops/cuda/attention.cuh"

namespace reef::ops::cuda {

namespace {

constexpr int kPlainThreads = 128;

/// The row of a block: sample, head and place, of `extent` places and `heads` heads.
struct Job {
  Index b, h, t;
};
__device__ Job job_of(Index extent, Index heads) {
  const Index row = blockIdx.x;
  return {row / extent / heads, row / extent % heads, row % extent};
}

template <typename M>
__device__ Compute<M> dot(const M* a, const M* b, Index width) {
  Compute<M> sum = 0;
  for (Index c = 0; c < width; ++c) sum += value_of(a[c]) * value_of(b[c]);
  return sum;
}

// --- kernels ---

/// log(sum(exp(scores))) of a query; minus infinity when it sees nothing.
template <typename M>
__device__ Compute<M> log_sum_exp(const Attending& a, const Job& job, const M* q,
                                  const HeadRows<const M>& k) {
  using V = Compute<M>;
  V most = -static_cast<V>(INFINITY);
  V sum = 0;
  for (Index key = threadIdx.x; key < a.keys; key += kPlainThreads) {
    if (!a.sees(job.b, job.t, key)) continue;
    const V score = dot(q, k.at(key), a.width) * static_cast<V>(a.scale);
    if (score > most) {
      sum = sum * exp(most - score) + 1;
      most = score;
    } else {
      sum += exp(score - most);
    }
  }
  const V all = block_reduce(most, Greater{});
  sum = block_reduce(isinf(most) ? V(0) : sum * exp(most - all), Plus{});
  return isinf(all) ? all : all + log(sum);
}

template <typename M>
__global__ void __launch_bounds__(kPlainThreads) plain_forward_kernel(Forward<M> p) {
  using V = Compute<M>;
  __shared__ V weights[kPlainThreads];
  const Attending& a = p.a;
  const Job job = job_of(a.queries, a.heads);
  const Index group = job.h / a.heads_per_group();
  const M* q = p.q.of(job.b, job.h).at(job.t);
  const HeadRows<const M> k = p.k.of(job.b, group);
  const HeadRows<const M> v = p.v.of(job.b, group);
  const V total = log_sum_exp(a, job, q, k);
  if (threadIdx.x == 0) p.log_sum_exp[blockIdx.x] = static_cast<float>(total);
  for (Index first_column = 0; first_column < a.width; first_column += kPlainThreads) {
    const Index column = first_column + threadIdx.x;
    V value = 0;
    for (Index first = 0; first < a.keys; first += kPlainThreads) {
      const Index key = first + threadIdx.x;
      V weight = 0;
      if (a.sees(job.b, job.t, key)) {
        weight = exp(dot(q, k.at(key), a.width) * static_cast<V>(a.scale) - total) *
                 a.factor(job.b, job.h, job.t, key);
      }
      __syncthreads();
      weights[threadIdx.x] = weight;
      __syncthreads();
      for (Index i = 0; i < kPlainThreads && first + i < a.keys && column < a.width; ++i) {
        value += weights[i] * value_of(v.at(first + i)[column]);
      }
    }
    if (column < a.width) p.out.of(job.b, job.h).at(job.t)[column] = rounded<M>(value);
  }
}

/// The sums again, as exact as the scores: log_sum_exp of the call is f32. It may be of more keys
/// than are here; then the difference is added, which is one if it is more than a rounding.
template <typename M>
__global__ void __launch_bounds__(kPlainThreads)
    plain_sums_kernel(Backward<M> p, Compute<M>* sums) {  // (B, H, T)
  const Job job = job_of(p.a.queries, p.a.heads);
  const Compute<M> total = log_sum_exp(p.a, job, p.q.of(job.b, job.h).at(job.t),
                                       p.k.of(job.b, job.h / p.a.heads_per_group()));
  if (threadIdx.x != 0) return;
  const auto here = static_cast<float>(total);
  const float more = isinf(here) ? 0 : p.log_sum_exp[blockIdx.x] - here;
  sums[blockIdx.x] = fabsf(more) > FLT_EPSILON * fabsf(here) ? total + more : total;
}

/// The weight of a pair and the gradient of its score.
template <typename V>
struct Pair {
  V weight = 0;  ///< dropped ones are 0
  V slope = 0;
};

template <typename M>
__device__ Pair<Compute<M>> pair_of(const Backward<M>& p, Index b, Index h, Index query, Index key,
                                    const Compute<M>* sums, const Compute<M>* deltas) {
  using V = Compute<M>;
  const Attending& a = p.a;
  if (!a.sees(b, query, key)) return {};
  const Index group = h / a.heads_per_group();
  const Index row = (b * a.heads + h) * a.queries + query;
  const auto scale = static_cast<V>(a.scale);
  const V score = dot(p.q.of(b, h).at(query), p.k.of(b, group).at(key), a.width) * scale;
  const V slope = dot(p.grad.of(b, h).at(query), p.v.of(b, group).at(key), a.width);
  const V weight = exp(score - sums[row]);
  const V factor = a.factor(b, h, query, key);
  return {weight * factor, weight * (slope * factor - deltas[row]) * scale};
}

template <typename M>
__global__ void __launch_bounds__(kPlainThreads)
    plain_query_grad_kernel(Backward<M> p, const Compute<M>* sums, const Compute<M>* deltas) {
  using V = Compute<M>;
  __shared__ V slopes[kPlainThreads];
  const Attending& a = p.a;
  const Job job = job_of(a.queries, a.heads);
  const HeadRows<const M> k = p.k.of(job.b, job.h / a.heads_per_group());
  for (Index first_column = 0; first_column < a.width; first_column += kPlainThreads) {
    const Index column = first_column + threadIdx.x;
    V value = 0;
    for (Index first = 0; first < a.keys; first += kPlainThreads) {
      const V slope = pair_of(p, job.b, job.h, job.t, first + threadIdx.x, sums, deltas).slope;
      __syncthreads();
      slopes[threadIdx.x] = slope;
      __syncthreads();
      for (Index i = 0; i < kPlainThreads && first + i < a.keys && column < a.width; ++i) {
        value += slopes[i] * value_of(k.at(first + i)[column]);
      }
    }
    if (column < a.width) p.q_grad.of(job.b, job.h).at(job.t)[column] = rounded<M>(value);
  }
}

template <typename M>
__global__ void __launch_bounds__(kPlainThreads)
    plain_key_grad_kernel(Backward<M> p, const Compute<M>* sums, const Compute<M>* deltas) {
  using V = Compute<M>;
  __shared__ Pair<V> pairs[kPlainThreads];
  const Attending& a = p.a;
  const Job job = job_of(a.keys, a.groups);
  for (Index first_column = 0; first_column < a.width; first_column += kPlainThreads) {
    const Index column = first_column + threadIdx.x;
    V key_value = 0;
    V value_value = 0;
    for (Index h = job.h * a.heads_per_group(); h < (job.h + 1) * a.heads_per_group(); ++h) {
      const HeadRows<const M> q = p.q.of(job.b, h);
      const HeadRows<const M> grad = p.grad.of(job.b, h);
      for (Index first = 0; first < a.queries; first += kPlainThreads) {
        const Pair<V> pair = pair_of(p, job.b, h, first + threadIdx.x, job.t, sums, deltas);
        __syncthreads();
        pairs[threadIdx.x] = pair;
        __syncthreads();
        for (Index i = 0; i < kPlainThreads && first + i < a.queries && column < a.width; ++i) {
          key_value += pairs[i].slope * value_of(q.at(first + i)[column]);
          value_value += pairs[i].weight * value_of(grad.at(first + i)[column]);
        }
      }
    }
    if (column >= a.width) continue;
    p.k_grad.of(job.b, job.h).at(job.t)[column] = rounded<M>(key_value);
    p.v_grad.of(job.b, job.h).at(job.t)[column] = rounded<M>(value_value);
  }
}

}  // namespace

// --- launchers ---

template <typename M>
void attention_plain(const Call& call, const Forward<M>& p) {
  const Index rows = p.a.batch * p.a.heads * p.a.queries;
  plain_forward_kernel<M><<<one_block_each(rows), kPlainThreads, 0, stream_of(call)>>>(p);
  ATOLL_CUDA(cudaGetLastError());
}

template <typename M>
void attention_plain_grad(const Call& call, const Backward<M>& p) {
  const cudaStream_t stream = stream_of(call);
  const Index queries = p.a.batch * p.a.heads * p.a.queries;
  const Index keys = p.a.batch * p.a.groups * p.a.keys;
  const Temporary<Compute<M>> sums(call.context, queries);
  const Temporary<Compute<M>> deltas(call.context, queries);
  plain_sums_kernel<M><<<one_block_each(queries), kPlainThreads, 0, stream>>>(p, sums.data());
  launch_delta(stream, p, deltas.data());
  plain_query_grad_kernel<M>
      <<<one_block_each(queries), kPlainThreads, 0, stream>>>(p, sums.data(), deltas.data());
  plain_key_grad_kernel<M>
      <<<one_block_each(keys), kPlainThreads, 0, stream>>>(p, sums.data(), deltas.data());
  ATOLL_CUDA(cudaGetLastError());
}

template void attention_plain(const Call&, const Forward<float>&);
template void attention_plain(const Call&, const Forward<double>&);
template void attention_plain(const Call&, const Forward<BF16>&);
template void attention_plain(const Call&, const Forward<F16>&);
template void attention_plain_grad(const Call&, const Backward<float>&);
template void attention_plain_grad(const Call&, const Backward<double>&);
template void attention_plain_grad(const Call&, const Backward<BF16>&);
template void attention_plain_grad(const Call&, const Backward<F16>&);

}  // namespace reef::ops::cuda
