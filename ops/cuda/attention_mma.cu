// Forward attention of bf16 and f16: Dao 2023, arXiv 2307.08691, algorithm 1. A warp owns 16
// queries; scores and weights never leave its registers.

#include "ops/cuda/attention_mma.cuh"

namespace reef::ops::cuda {

namespace {

constexpr int kTileKeys = 64;

/// The running softmax of the two rows of which a lane holds parts.
struct Softmax {
  float most[2] = {-INFINITY, -INFINITY};
  float sum[2] = {};  // of the lane's own columns

  /// Turns scores into weights, given the new keys; returns what older sums shrink by.
  __device__ void update(Sums (&scores)[kTileKeys / 8], float (&shrink)[2]) {
    for (int r = 0; r < 2; ++r) {
      float now = most[r];
#pragma unroll
      for (Sums& s : scores) now = Greater{}(Greater{}(s.at[2 * r], s.at[2 * r + 1]), now);
      now = quad_reduce(now, Greater{});
      // Until a key is seen, infinity minus infinity would not be a number.
      const bool blind = now == -INFINITY;
      shrink[r] = blind ? 1.0f : __expf(most[r] - now);
      sum[r] *= shrink[r];
#pragma unroll
      for (Sums& s : scores) {
        for (int i = 2 * r; i < 2 * r + 2; ++i) {
          s.at[i] = blind ? 0.0f : __expf(s.at[i] - now);
          sum[r] += s.at[i];
        }
      }
      most[r] = now;
    }
  }
};

/// Scores are scaled, and minus infinity where a query does not see.
__device__ void mask(const Attending& a, Index b, Index first_query, Index first_key,
                     Sums (&scores)[kTileKeys / 8]) {
  const float scale = static_cast<float>(a.scale);
#pragma unroll
  for (int n = 0; n < kTileKeys / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool seen =
          a.sees(b, first_query + row_in_sums(i), first_key + n * 8 + column_in_sums(i));
      scores[n].at[i] = seen ? scores[n].at[i] * scale : -INFINITY;
    }
  }
}

__device__ void drop(const Attending& a, Index b, Index h, Index first_query, Index first_key,
                     Sums (&weights)[kTileKeys / 8]) {
#pragma unroll
  for (int n = 0; n < kTileKeys / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      weights[n].at[i] *=
          a.factor(b, h, first_query + row_in_sums(i), first_key + n * 8 + column_in_sums(i));
    }
  }
}

// --- kernel ---

template <typename M, int kWidth>
__global__ void __launch_bounds__(kMmaThreads) mma_forward_kernel(Forward<M> p) {
  using Tile = MmaTile<M, kWidth>;
  extern __shared__ uint4 shared[];
  const Tile own{reinterpret_cast<M*>(shared)};            // (kMmaRows, kWidth)
  const Tile keys{own.data + kMmaRows * Tile::kStep};      // (kTileKeys, kWidth)
  const Tile values{keys.data + kTileKeys * Tile::kStep};  // (kTileKeys, kWidth)
  const Attending& a = p.a;
  const Index b = blockIdx.z;
  const Index h = blockIdx.y;
  const Index group = h / a.heads_per_group();
  const int row = threadIdx.x / kWarp * 16;  // the warp's first, in the block
  const Index block_query = Index{blockIdx.x} * kMmaRows;
  const Index first_query = block_query + row;
  own.load(p.q.of(b, h), block_query, kMmaRows, a.queries, a.width);

  Softmax softmax;
  Sums out[kWidth / 8] = {};
  const Index end = a.keys_end(min(block_query + kMmaRows, a.queries) - 1);
  for (Index first = 0; first < end; first += kTileKeys) {
    __syncthreads();
    keys.load(p.k.of(b, group), first, kTileKeys, a.keys, a.width);
    values.load(p.v.of(b, group), first, kTileKeys, a.keys, a.width);
    __syncthreads();
    Sums scores[kTileKeys / 8] = {};
    multiply_rows<M, kWidth, kTileKeys>(scores, own, row, keys);
    mask(a, b, first_query, first, scores);
    float shrink[2];
    softmax.update(scores, shrink);
    if (a.dropout.probability > 0) drop(a, b, h, first_query, first, scores);
#pragma unroll
    for (Sums& s : out) {
      for (int i = 0; i < 4; ++i) s.at[i] *= shrink[i / 2];
    }
    multiply_tile<M, kWidth, kTileKeys>(out, scores, values);
  }

  float inverse[2];
  for (int r = 0; r < 2; ++r) {
    const float sum = quad_reduce(softmax.sum[r], Plus{});
    const bool blind = softmax.most[r] == -INFINITY;
    inverse[r] = blind ? 0.0f : 1 / sum;
    const Index query = first_query + row_in_sums(2 * r);
    if (threadIdx.x % 4 == 0 && query < a.queries) {
      p.log_sum_exp[(b * a.heads + h) * a.queries + query] =
          blind ? -INFINITY : softmax.most[r] + logf(sum);
    }
  }
  store_rows<M, kWidth>(out, inverse, p.out.of(b, h), first_query, a.queries, a.width);
}

}  // namespace

// --- launcher ---

template <typename M>
void attention_mma(const Call& call, const Forward<M>& p) {
  const dim3 grid = attention_grid(p.a.queries, kMmaRows, p.a.heads, p.a.batch);
  visit_mma_width(p.a.width, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr std::size_t kShared =
        (kMmaRows + 2 * kTileKeys) * MmaTile<M, kWidth>::kStep * sizeof(M);
    allow_shared(mma_forward_kernel<M, kWidth>, kShared);
    mma_forward_kernel<M, kWidth><<<grid, kMmaThreads, kShared, stream_of(call)>>>(p);
  });
  ATOLL_CUDA(cudaGetLastError());
}

template void attention_mma(const Call&, const Forward<BF16>&);
template void attention_mma(const Call&, const Forward<F16>&);

}  // namespace reef::ops::cuda
