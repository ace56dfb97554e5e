// Attention of f32 without tensor cores (TF32 would not be f32). A warp owns four rows; each of its
// lanes scores one row of a tile of 32, and then owns every 32nd column of the sums, to which the
// weights come by shuffles.

#include "ops/cuda/attention.cuh"

namespace reef::ops::cuda {

namespace {

constexpr int kOwn = 4;  ///< rows of a warp
constexpr int kBlockRows = kOwn * kWarps;
constexpr int kTileKeys = kWarp;  ///< rows of a tile, one a lane

/// Rows [first, first + count) of a head, (count, kWidth) in shared memory at steps of kStep; zeros
/// outside of (extent, width).
template <int kWidth, int kStep>
__device__ void load_rows(float* to, const HeadRows<const float>& from, Index first, int count,
                          Index extent, Index width) {
  for (int i = threadIdx.x; i < count * kWidth; i += kThreads) {
    const Index row = first + i / kWidth;
    const Index column = i % kWidth;
    const bool inside = row < extent && column < width;
    to[i / kWidth * kStep + column] = inside ? from.at(row)[column] : 0.0f;
  }
}

// --- kernels ---

template <int kWidth>
__global__ void __launch_bounds__(kThreads) lanes_forward_kernel(Forward<float> p) {
  constexpr int kStep = kWidth + 1;  // so that lanes read different banks
  constexpr int kColumns = kWidth / kWarp;
  extern __shared__ float shared[];
  float* const own = shared;                       // (kBlockRows, kWidth)
  float* const keys = own + kBlockRows * kWidth;   // (kTileKeys, kStep)
  float* const values = keys + kTileKeys * kStep;  // (kTileKeys, kWidth)
  const Attending& a = p.a;
  const Index b = blockIdx.z;
  const Index h = blockIdx.y;
  const Index group = h / a.heads_per_group();
  const int lane = threadIdx.x % kWarp;
  const int row = threadIdx.x / kWarp * kOwn;  // the warp's first, in the block
  const Index first_query = Index{blockIdx.x} * kBlockRows;
  const float scale = static_cast<float>(a.scale);
  load_rows<kWidth, kWidth>(own, p.q.of(b, h), first_query, kBlockRows, a.queries, a.width);

  float most[kOwn];
  float sum[kOwn] = {};
  float value[kOwn][kColumns] = {};
  for (float& m : most) m = -INFINITY;
  const Index end = a.keys_end(min(first_query + kBlockRows, a.queries) - 1);
  for (Index first = 0; first < end; first += kTileKeys) {
    __syncthreads();
    load_rows<kWidth, kStep>(keys, p.k.of(b, group), first, kTileKeys, a.keys, a.width);
    load_rows<kWidth, kWidth>(values, p.v.of(b, group), first, kTileKeys, a.keys, a.width);
    __syncthreads();
    float weight[kOwn] = {};
    for (int c = 0; c < kWidth; ++c) {
      const float k = keys[lane * kStep + c];
      for (int r = 0; r < kOwn; ++r) weight[r] += own[(row + r) * kWidth + c] * k;
    }
    for (int r = 0; r < kOwn; ++r) {
      const Index query = first_query + row + r;
      const Index key = first + lane;
      const float score = a.sees(b, query, key) ? weight[r] * scale : -INFINITY;
      const float now = Greater{}(warp_reduce(score, Greater{}), most[r]);
      // Until a key is seen, infinity minus infinity would not be a number.
      const bool blind = now == -INFINITY;
      const float p_now = blind ? 0.0f : expf(score - now);
      const float shrink = blind ? 1.0f : expf(most[r] - now);
      most[r] = now;
      sum[r] = sum[r] * shrink + warp_reduce(p_now, Plus{});
      weight[r] = p_now == 0 ? 0.0f : p_now * a.factor(b, h, query, key);
      for (int i = 0; i < kColumns; ++i) value[r][i] *= shrink;
    }
    for (int j = 0; j < kTileKeys; ++j) {
      float w[kOwn];
      for (int r = 0; r < kOwn; ++r) w[r] = __shfl_sync(kAllLanes, weight[r], j);
      for (int i = 0; i < kColumns; ++i) {
        const float v = values[j * kWidth + lane + i * kWarp];
        for (int r = 0; r < kOwn; ++r) value[r][i] += w[r] * v;
      }
    }
  }
  for (int r = 0; r < kOwn; ++r) {
    const Index query = first_query + row + r;
    if (query >= a.queries) continue;
    const bool blind = most[r] == -INFINITY;
    float* out = p.out.of(b, h).at(query);
    for (int i = 0; i < kColumns; ++i) {
      const int column = lane + i * kWarp;
      if (column < a.width) out[column] = blind ? 0.0f : value[r][i] / sum[r];
    }
    if (lane == 0) {
      p.log_sum_exp[(b * a.heads + h) * a.queries + query] =
          blind ? -INFINITY : most[r] + logf(sum[r]);
    }
  }
}

/// Owns queries: rows are of q and grad, tiles of k and v, and the result is q's gradient. Owns
/// keys: rows are of k and v, tiles of q and grad of each head of the group, and the results are
/// the gradients of k and v. Either way: scores = rows . tile, slopes = other rows . other tile.
template <int kWidth, bool kOwnsKeys>
__global__ void __launch_bounds__(kThreads)
    lanes_grad_kernel(Backward<float> p, const float* deltas) {  // (B, H, T)
  constexpr int kStep = kWidth + 1;
  constexpr int kColumns = kWidth / kWarp;
  extern __shared__ float shared[];
  float* const rows = shared;                            // (kBlockRows, kWidth)
  float* const other_rows = rows + kBlockRows * kWidth;  // (kBlockRows, kWidth)
  float* const tile = other_rows + kBlockRows * kWidth;  // (kTileKeys, kStep)
  float* const other_tile = tile + kTileKeys * kStep;    // (kTileKeys, kStep)
  const Attending& a = p.a;
  const Index b = blockIdx.z;
  const Index own_head = blockIdx.y;  // a group when it owns keys
  const Index group = kOwnsKeys ? own_head : own_head / a.heads_per_group();
  const int lane = threadIdx.x % kWarp;
  const int row = threadIdx.x / kWarp * kOwn;
  const Index first_row = Index{blockIdx.x} * kBlockRows;
  const Index extent = kOwnsKeys ? a.keys : a.queries;
  const float scale = static_cast<float>(a.scale);
  load_rows<kWidth, kWidth>(rows, kOwnsKeys ? p.k.of(b, group) : p.q.of(b, own_head), first_row,
                            kBlockRows, extent, a.width);
  load_rows<kWidth, kWidth>(other_rows, kOwnsKeys ? p.v.of(b, group) : p.grad.of(b, own_head),
                            first_row, kBlockRows, extent, a.width);

  float slope_sum[kOwn][kColumns] = {};   // gradient of q, or of k
  float weight_sum[kOwn][kColumns] = {};  // gradient of v
  const Index first_head = kOwnsKeys ? group * a.heads_per_group() : own_head;
  const Index last_head = kOwnsKeys ? first_head + a.heads_per_group() : own_head + 1;
  const Index begin = kOwnsKeys ? a.queries_begin(first_row) / kTileKeys * kTileKeys : 0;
  const Index end = kOwnsKeys ? a.queries : a.keys_end(min(first_row + kBlockRows, a.queries) - 1);
  for (Index h = first_head; h < last_head; ++h) {
    for (Index first = begin; first < end; first += kTileKeys) {
      const Index tile_extent = kOwnsKeys ? a.queries : a.keys;
      __syncthreads();
      load_rows<kWidth, kStep>(tile, kOwnsKeys ? p.q.of(b, h) : p.k.of(b, group), first, kTileKeys,
                               tile_extent, a.width);
      load_rows<kWidth, kStep>(other_tile, kOwnsKeys ? p.grad.of(b, h) : p.v.of(b, group), first,
                               kTileKeys, tile_extent, a.width);
      __syncthreads();
      float weight[kOwn] = {};
      float slope[kOwn] = {};
      for (int c = 0; c < kWidth; ++c) {
        const float t = tile[lane * kStep + c];
        const float o = other_tile[lane * kStep + c];
        for (int r = 0; r < kOwn; ++r) {
          weight[r] += rows[(row + r) * kWidth + c] * t;
          slope[r] += other_rows[(row + r) * kWidth + c] * o;
        }
      }
      for (int r = 0; r < kOwn; ++r) {
        const Index mine = first_row + row + r;
        const Index query = kOwnsKeys ? first + lane : mine;
        const Index key = kOwnsKeys ? mine : first + lane;
        if (!a.sees(b, query, key)) {
          weight[r] = slope[r] = 0;
          continue;
        }
        const Index at = (b * a.heads + h) * a.queries + query;
        const float factor = a.factor(b, h, query, key);
        const float chosen = expf(weight[r] * scale - p.log_sum_exp[at]);
        slope[r] = chosen * (slope[r] * factor - deltas[at]) * scale;
        weight[r] = chosen * factor;
      }
      for (int j = 0; j < kTileKeys; ++j) {
        for (int r = 0; r < kOwn; ++r) {
          const float s = __shfl_sync(kAllLanes, slope[r], j);
          for (int i = 0; i < kColumns; ++i) {
            slope_sum[r][i] += s * tile[j * kStep + lane + i * kWarp];
          }
          if constexpr (kOwnsKeys) {
            const float w = __shfl_sync(kAllLanes, weight[r], j);
            for (int i = 0; i < kColumns; ++i) {
              weight_sum[r][i] += w * other_tile[j * kStep + lane + i * kWarp];
            }
          }
        }
      }
    }
  }
  for (int r = 0; r < kOwn; ++r) {
    const Index mine = first_row + row + r;
    if (mine >= extent) continue;
    for (int i = 0; i < kColumns; ++i) {
      const int column = lane + i * kWarp;
      if (column >= a.width) continue;
      if constexpr (kOwnsKeys) {
        p.k_grad.of(b, group).at(mine)[column] = slope_sum[r][i];
        p.v_grad.of(b, group).at(mine)[column] = weight_sum[r][i];
      } else {
        p.q_grad.of(b, own_head).at(mine)[column] = slope_sum[r][i];
      }
    }
  }
}

// --- launchers ---

/// visit(std::integral_constant of the least width that holds a head).
template <typename Visit>
void visit_width_of_head(Index width, Visit visit) {
  if (width <= 32) return visit(std::integral_constant<int, 32>{});
  if (width <= 64) return visit(std::integral_constant<int, 64>{});
  CHECK_LE(width, 128);
  visit(std::integral_constant<int, 128>{});
}

template <int kWidth, bool kOwnsKeys>
void launch_grad(cudaStream_t stream, const Backward<float>& p, const float* deltas) {
  constexpr std::size_t kShared =
      (2 * kBlockRows * kWidth + 2 * kTileKeys * (kWidth + 1)) * sizeof(float);
  const dim3 grid = kOwnsKeys ? attention_grid(p.a.keys, kBlockRows, p.a.groups, p.a.batch)
                              : attention_grid(p.a.queries, kBlockRows, p.a.heads, p.a.batch);
  allow_shared(lanes_grad_kernel<kWidth, kOwnsKeys>, kShared);
  lanes_grad_kernel<kWidth, kOwnsKeys><<<grid, kThreads, kShared, stream>>>(p, deltas);
  ATOLL_CUDA(cudaGetLastError());
}

}  // namespace

void attention_lanes(const Call& call, const Forward<float>& p) {
  const dim3 grid = attention_grid(p.a.queries, kBlockRows, p.a.heads, p.a.batch);
  visit_width_of_head(p.a.width, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr std::size_t kShared =
        (kBlockRows * kWidth + kTileKeys * (kWidth + 1) + kTileKeys * kWidth) * sizeof(float);
    allow_shared(lanes_forward_kernel<kWidth>, kShared);
    lanes_forward_kernel<kWidth><<<grid, kThreads, kShared, stream_of(call)>>>(p);
  });
  ATOLL_CUDA(cudaGetLastError());
}

void attention_lanes_grad(const Call& call, const Backward<float>& p) {
  const Temporary<float> deltas(call.context, p.a.batch * p.a.heads * p.a.queries);
  launch_delta(stream_of(call), p, deltas.data());
  visit_width_of_head(p.a.width, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    launch_grad<kWidth, false>(stream_of(call), p, deltas.data());
    launch_grad<kWidth, true>(stream_of(call), p, deltas.data());
  });
}

}  // namespace reef::ops::cuda
