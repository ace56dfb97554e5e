// Attention of f32 without tensor cores (TF32 would not be f32). A warp owns four rows; each of its
// lanes scores one row of a tile of 32, and then owns every 32nd column of the sums, to which the
// weights come by shuffles.

#include "ops/cuda/attention.cuh"

namespace reef::ops::cuda {

namespace {

constexpr int kOwn = 4;  ///< rows of a warp
constexpr int kBlockRows = kOwn * kWarps;
constexpr int kTileRows = kWarp;  ///< rows of a tile, one a lane
/// From a row of a tile to the next: lanes then read different banks.
template <int kWidth>
constexpr int kStep = kWidth + 1;

/// Rows [first, first + count) of a head, (count, kWidth) in shared memory at steps of kRowStep;
/// zeros
/// outside of (extent, width).
template <int kWidth, int kRowStep>
__device__ void load_rows(float* to, const HeadRows<const float>& from, Index first, int count,
                          Index extent, Index width) {
  for (int i = threadIdx.x; i < count * kWidth; i += kThreads) {
    const Index row = first + i / kWidth;
    const Index column = i % kWidth;
    const bool inside = row < extent && column < width;
    to[i / kWidth * kRowStep + column] = inside ? from.at(row)[column] : 0.0f;
  }
}

/// products[r] = row r of the warp . the lane's row of the tile.
template <int kWidth>
__device__ void multiply_rows(const float* rows, const float* tile, float (&products)[kOwn]) {
  const int lane = threadIdx.x % kWarp;
  for (int c = 0; c < kWidth; ++c) {
    const float t = tile[lane * kStep<kWidth> + c];
    for (int r = 0; r < kOwn; ++r) products[r] += rows[r * kWidth + c] * t;
  }
}

/// sums[r] += weights[r] of each lane times its row of the tile; a lane has every 32nd column.
template <int kWidth>
__device__ void add_rows(const float* tile, const float (&weights)[kOwn],
                         float (&sums)[kOwn][kWidth / kWarp]) {
  const int lane = threadIdx.x % kWarp;
  for (int j = 0; j < kTileRows; ++j) {
    float w[kOwn];
    for (int r = 0; r < kOwn; ++r) w[r] = __shfl_sync(kAllLanes, weights[r], j);
    for (int i = 0; i < kWidth / kWarp; ++i) {
      const float t = tile[j * kStep<kWidth> + lane + i * kWarp];
      for (int r = 0; r < kOwn; ++r) sums[r][i] += w[r] * t;
    }
  }
}

template <int kWidth>
__device__ void store_row(const float (&sums)[kWidth / kWarp], float factor, Index width,
                          float* to) {
  for (int i = 0; i < kWidth / kWarp; ++i) {
    const int column = threadIdx.x % kWarp + i * kWarp;
    if (column < width) to[column] = sums[i] * factor;
  }
}

/// The running softmax of one row.
struct Softmax {
  float most = -INFINITY;
  float sum = 0;

  __device__ bool is_blind() const { return most == -INFINITY; }
  /// The lane's weight for its score; `shrink` is what older sums shrink by.
  __device__ float update(float score, float& shrink) {
    const float now = Greater{}(warp_reduce(score, Greater{}), most);
    // Until a key is seen, infinity minus infinity would not be a number.
    const bool blind = now == -INFINITY;
    const float weight = blind ? 0.0f : expf(score - now);
    shrink = blind ? 1.0f : expf(most - now);
    sum = sum * shrink + warp_reduce(weight, Plus{});
    most = now;
    return weight;
  }
};

// --- kernels ---

template <int kWidth>
__global__ void __launch_bounds__(kThreads) lanes_forward_kernel(Forward<float> p) {
  extern __shared__ float shared[];
  float* const own = shared;                               // (kBlockRows, kWidth)
  float* const keys = own + kBlockRows * kWidth;           // (kTileRows, kStep)
  float* const values = keys + kTileRows * kStep<kWidth>;  // (kTileRows, kStep)
  const Attending& a = p.a;
  const Index b = blockIdx.z;
  const Index h = blockIdx.y;
  const Index group = h / a.heads_per_group();
  const int row = threadIdx.x / kWarp * kOwn;  // the warp's first, in the block
  const Index block_query = Index{blockIdx.x} * kBlockRows;
  const Index first_query = block_query + row;
  load_rows<kWidth, kWidth>(own, p.q.of(b, h), block_query, kBlockRows, a.queries, a.width);

  Softmax softmax[kOwn];
  float out[kOwn][kWidth / kWarp] = {};
  const Index end = a.keys_end(min(block_query + kBlockRows, a.queries) - 1);
  for (Index first = 0; first < end; first += kTileRows) {
    __syncthreads();
    load_rows<kWidth, kStep<kWidth>>(keys, p.k.of(b, group), first, kTileRows, a.keys, a.width);
    load_rows<kWidth, kStep<kWidth>>(values, p.v.of(b, group), first, kTileRows, a.keys, a.width);
    __syncthreads();
    float weights[kOwn] = {};
    multiply_rows<kWidth>(own + row * kWidth, keys, weights);
    for (int r = 0; r < kOwn; ++r) {
      const Index query = first_query + r;
      const Index key = first + threadIdx.x % kWarp;
      const bool seen = a.sees(b, query, key);
      float shrink;
      const float score = seen ? weights[r] * static_cast<float>(a.scale) : -INFINITY;
      weights[r] = softmax[r].update(score, shrink);
      if (seen) weights[r] *= a.factor(b, h, query, key);
      for (float& value : out[r]) value *= shrink;
    }
    add_rows<kWidth>(values, weights, out);
  }
  for (int r = 0; r < kOwn && first_query + r < a.queries; ++r) {
    const Index query = first_query + r;
    const bool blind = softmax[r].is_blind();
    store_row<kWidth>(out[r], blind ? 0.0f : 1 / softmax[r].sum, a.width, p.out.of(b, h).at(query));
    if (threadIdx.x % kWarp != 0) continue;
    p.log_sum_exp[(b * a.heads + h) * a.queries + query] =
        blind ? -INFINITY : softmax[r].most + logf(softmax[r].sum);
  }
}

/// Scores become weights (dropped ones 0), slopes become gradients of scores. Rows are the warp's,
/// from `first_row` on; the other is the lane's.
template <bool kOwnsKeys>
__device__ void weigh(const Backward<float>& p, const float* deltas, Index b, Index h,
                      Index first_row, Index other, float (&weights)[kOwn], float (&slopes)[kOwn]) {
  const Attending& a = p.a;
  const float scale = static_cast<float>(a.scale);
  for (int r = 0; r < kOwn; ++r) {
    const Index query = kOwnsKeys ? other : first_row + r;
    const Index key = kOwnsKeys ? first_row + r : other;
    if (!a.sees(b, query, key)) {
      weights[r] = slopes[r] = 0;
      continue;
    }
    const Index at = (b * a.heads + h) * a.queries + query;
    const float factor = a.factor(b, h, query, key);
    const float chosen = expf(weights[r] * scale - p.log_sum_exp[at]);
    slopes[r] = chosen * (slopes[r] * factor - deltas[at]) * scale;
    weights[r] = chosen * factor;
  }
}

/// Owns queries: rows are of q and grad, tiles of k and v, and the result is q's gradient. Owns
/// keys: rows are of k and v, tiles of q and grad of each head of the group, and the results are
/// the gradients of k and v. Either way: scores = rows . tile, slopes = other rows . other tile.
template <int kWidth, bool kOwnsKeys>
__global__ void __launch_bounds__(kThreads)
    lanes_grad_kernel(Backward<float> p, const float* deltas) {  // (B, H, T)
  extern __shared__ float shared[];
  float* const rows = shared;                                  // (kBlockRows, kWidth)
  float* const other_rows = rows + kBlockRows * kWidth;        // (kBlockRows, kWidth)
  float* const tile = other_rows + kBlockRows * kWidth;        // (kTileRows, kStep)
  float* const other_tile = tile + kTileRows * kStep<kWidth>;  // (kTileRows, kStep)
  const Attending& a = p.a;
  const Index b = blockIdx.z;
  const Walk walk(a, blockIdx.y, Index{blockIdx.x} * kBlockRows, kBlockRows, kTileRows, kOwnsKeys);
  const int row = threadIdx.x / kWarp * kOwn;
  load_rows<kWidth, kWidth>(rows, kOwnsKeys ? p.k.of(b, walk.group) : p.q.of(b, walk.head),
                            walk.row, kBlockRows, walk.rows, a.width);
  load_rows<kWidth, kWidth>(other_rows, kOwnsKeys ? p.v.of(b, walk.group) : p.grad.of(b, walk.head),
                            walk.row, kBlockRows, walk.rows, a.width);

  float slope_sum[kOwn][kWidth / kWarp] = {};   // gradient of q, or of k
  float weight_sum[kOwn][kWidth / kWarp] = {};  // gradient of v
  for (Index h = walk.head; h < walk.last_head; ++h) {
    for (Index first = walk.begin; first < walk.end; first += kTileRows) {
      __syncthreads();
      load_rows<kWidth, kStep<kWidth>>(tile, kOwnsKeys ? p.q.of(b, h) : p.k.of(b, walk.group),
                                       first, kTileRows, walk.others, a.width);
      load_rows<kWidth, kStep<kWidth>>(other_tile,
                                       kOwnsKeys ? p.grad.of(b, h) : p.v.of(b, walk.group), first,
                                       kTileRows, walk.others, a.width);
      __syncthreads();
      float weights[kOwn] = {};
      float slopes[kOwn] = {};
      multiply_rows<kWidth>(rows + row * kWidth, tile, weights);
      multiply_rows<kWidth>(other_rows + row * kWidth, other_tile, slopes);
      weigh<kOwnsKeys>(p, deltas, b, h, walk.row + row, first + threadIdx.x % kWarp, weights,
                       slopes);
      add_rows<kWidth>(tile, slopes, slope_sum);
      if constexpr (kOwnsKeys) add_rows<kWidth>(other_tile, weights, weight_sum);
    }
  }
  for (int r = 0; r < kOwn && walk.row + row + r < walk.rows; ++r) {
    const Index mine = walk.row + row + r;
    if constexpr (kOwnsKeys) {
      store_row<kWidth>(slope_sum[r], 1, a.width, p.k_grad.of(b, walk.group).at(mine));
      store_row<kWidth>(weight_sum[r], 1, a.width, p.v_grad.of(b, walk.group).at(mine));
    } else {
      store_row<kWidth>(slope_sum[r], 1, a.width, p.q_grad.of(b, walk.head).at(mine));
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
      (2 * kBlockRows * kWidth + 2 * kTileRows * kStep<kWidth>)*sizeof(float);
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
        (kBlockRows * kWidth + 2 * kTileRows * kStep<kWidth>)*sizeof(float);
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
