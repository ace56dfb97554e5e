// Backward attention of bf16 and f16. One kernel, two uses, as in attention_lanes.cu: owns queries
// and walks over keys, or owns keys and walks over the queries of all heads of the group.

#include "ops/cuda/attention_mma.cuh"

namespace reef::ops::cuda {

namespace {

/// Half of the forward's: the gradients of keys and values take the registers.
constexpr int kTileRows = 32;

// --- kernel ---

/// Scores become weights (dropped ones 0), slopes become gradients of scores. Row and tile numbers
/// are those of the first of each.
template <bool kOwnsKeys>
__device__ void weigh(const Attending& a, Index b, Index h, Index first_row, Index first_tile,
                      const float* log_sum_exp, const float* deltas,  // (B, H, T)
                      Sums (&weights)[kTileRows / 8], Sums (&slopes)[kTileRows / 8]) {
  const float scale = static_cast<float>(a.scale);
#pragma unroll
  for (int n = 0; n < kTileRows / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const Index row = first_row + row_in_sums(i);
      const Index other = first_tile + n * 8 + column_in_sums(i);
      const Index query = kOwnsKeys ? other : row;
      const Index key = kOwnsKeys ? row : other;
      float& weight = weights[n].at[i];
      float& slope = slopes[n].at[i];
      if (!a.sees(b, query, key)) {
        weight = slope = 0;
        continue;
      }
      const Index at = (b * a.heads + h) * a.queries + query;
      const float factor = a.factor(b, h, query, key);
      const float chosen = __expf(weight * scale - log_sum_exp[at]);
      slope = chosen * (slope * factor - deltas[at]) * scale;
      weight = chosen * factor;
    }
  }
}

template <typename M, int kWidth, bool kOwnsKeys>
__global__ void __launch_bounds__(kMmaThreads) mma_grad_kernel(Backward<M> p, const float* deltas) {
  using Tile = MmaTile<M, kWidth>;
  extern __shared__ uint4 shared[];
  const Tile rows{reinterpret_cast<M*>(shared)};               // (kMmaRows, kWidth): q or k
  const Tile other_rows{rows.data + kMmaRows * Tile::kStep};   // the same of grad or v
  const Tile tile{other_rows.data + kMmaRows * Tile::kStep};   // (kTileRows, kWidth): k or q
  const Tile other_tile{tile.data + kTileRows * Tile::kStep};  // the same of v or grad
  const Attending& a = p.a;
  const Index b = blockIdx.z;
  const Walk walk(a, blockIdx.y, Index{blockIdx.x} * kMmaRows, kMmaRows, kTileRows, kOwnsKeys);
  const int row = threadIdx.x / kWarp * 16;
  rows.load(kOwnsKeys ? p.k.of(b, walk.group) : p.q.of(b, walk.head), walk.row, kMmaRows, walk.rows,
            a.width);
  other_rows.load(kOwnsKeys ? p.v.of(b, walk.group) : p.grad.of(b, walk.head), walk.row, kMmaRows,
                  walk.rows, a.width);

  Sums slope_sum[kWidth / 8] = {};                   // gradient of q, or of k
  Sums weight_sum[kOwnsKeys ? kWidth / 8 : 1] = {};  // gradient of v
  for (Index h = walk.head; h < walk.last_head; ++h) {
    for (Index first = walk.begin; first < walk.end; first += kTileRows) {
      __syncthreads();
      tile.load(kOwnsKeys ? p.q.of(b, h) : p.k.of(b, walk.group), first, kTileRows, walk.others,
                a.width);
      other_tile.load(kOwnsKeys ? p.grad.of(b, h) : p.v.of(b, walk.group), first, kTileRows,
                      walk.others, a.width);
      __syncthreads();
      Sums weights[kTileRows / 8] = {};
      Sums slopes[kTileRows / 8] = {};
      multiply_rows<M, kWidth, kTileRows>(weights, rows, row, tile);
      multiply_rows<M, kWidth, kTileRows>(slopes, other_rows, row, other_tile);
      weigh<kOwnsKeys>(a, b, h, walk.row + row, first, p.log_sum_exp, deltas, weights, slopes);
      multiply_tile<M, kWidth, kTileRows>(slope_sum, slopes, tile);
      if constexpr (kOwnsKeys) {
        multiply_tile<M, kWidth, kTileRows>(weight_sum, weights, other_tile);
      }
    }
  }
  const float as_is[2] = {1, 1};
  if constexpr (kOwnsKeys) {
    store_rows<M, kWidth>(slope_sum, as_is, p.k_grad.of(b, walk.group), walk.row + row, walk.rows,
                          a.width);
    store_rows<M, kWidth>(weight_sum, as_is, p.v_grad.of(b, walk.group), walk.row + row, walk.rows,
                          a.width);
  } else {
    store_rows<M, kWidth>(slope_sum, as_is, p.q_grad.of(b, walk.head), walk.row + row, walk.rows,
                          a.width);
  }
}

// --- launchers ---

template <typename M, int kWidth, bool kOwnsKeys>
void launch_grad(cudaStream_t stream, const Backward<M>& p, const float* deltas) {
  constexpr std::size_t kShared =
      (2 * kMmaRows + 2 * kTileRows) * MmaTile<M, kWidth>::kStep * sizeof(M);
  const dim3 grid = kOwnsKeys ? attention_grid(p.a.keys, kMmaRows, p.a.groups, p.a.batch)
                              : attention_grid(p.a.queries, kMmaRows, p.a.heads, p.a.batch);
  allow_shared(mma_grad_kernel<M, kWidth, kOwnsKeys>, kShared);
  mma_grad_kernel<M, kWidth, kOwnsKeys><<<grid, kMmaThreads, kShared, stream>>>(p, deltas);
  ATOLL_CUDA(cudaGetLastError());
}

}  // namespace

template <typename M>
void attention_mma_grad(const Call& call, const Backward<M>& p) {
  const Temporary<float> deltas(call.context, p.a.batch * p.a.heads * p.a.queries);
  launch_delta(stream_of(call), p, deltas.data());
  visit_mma_width(p.a.width, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    launch_grad<M, kWidth, false>(stream_of(call), p, deltas.data());
    launch_grad<M, kWidth, true>(stream_of(call), p, deltas.data());
  });
}

template void attention_mma_grad(const Call&, const Backward<BF16>&);
template void attention_mma_grad(const Call&, const Backward<F16>&);

}  // namespace reef::ops::cuda
