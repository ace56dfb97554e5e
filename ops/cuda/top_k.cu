// The greatest of rows, a block a row.

#include "ops/cuda/block.cuh"
#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"

namespace reef::ops::cuda {

namespace {

/// An element and where it stands; place -1 is nothing.
template <typename V>
struct Candidate {
  V value;
  Index place;
};

/// The order of results: greater first (NaN is the greatest), of equals the lower place. Nothing
/// comes last.
template <typename V>
__device__ bool comes_before(const Candidate<V>& a, const Candidate<V>& b) {
  if (a.place < 0 || b.place < 0) return a.place >= 0 && b.place < 0;
  const bool a_nan = a.value != a.value;
  const bool b_nan = b.value != b.value;
  if (a_nan != b_nan) return a_nan;
  if (a.value > b.value) return true;
  return (a_nan || a.value == b.value) && a.place < b.place;
}

/// Every thread gets the first of the block's candidates.
template <typename V>
__device__ Candidate<V> first_of_block(Candidate<V> mine) {
  __shared__ V values[kMaxWarps];
  __shared__ Index places[kMaxWarps];
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Candidate<V> other{
        __shfl_xor_sync(kAllLanes, mine.value, step),
        static_cast<Index>(__shfl_xor_sync(kAllLanes, static_cast<long long>(mine.place), step))};
    if (comes_before(other, mine)) mine = other;
  }
  __syncthreads();  // the candidates of the call before have been read
  if (threadIdx.x % kWarp == 0) {
    values[threadIdx.x / kWarp] = mine.value;
    places[threadIdx.x / kWarp] = mine.place;
  }
  __syncthreads();
  Candidate<V> first{values[0], places[0]};
  for (int warp = 1; warp < static_cast<int>(blockDim.x) / kWarp; ++warp) {
    const Candidate<V> other{values[warp], places[warp]};
    if (comes_before(other, first)) first = other;
  }
  return first;
}

/// Finds the first, then the first after it, and so on: k passes over a row that stays in the
/// cache. Sorting would win only for a k near the number of columns.
template <typename M>
__global__ void top_k_kernel(const M* x,                   // (rows, columns)
                             M* values,                    // (rows, k) or null
                             std::int32_t* result_places,  // (rows, k)
                             Index columns, Index k) {
  using V = Compute<M>;
  const M* row = x + blockIdx.x * columns;
  Candidate<V> last{0, -1};
  for (Index rank = 0; rank < k; ++rank) {
    Candidate<V> best{0, -1};
    for (Index j = threadIdx.x; j < columns; j += blockDim.x) {
      const Candidate<V> candidate{value_of(row[j]), j};
      const bool is_left = rank == 0 || comes_before(last, candidate);
      if (is_left && comes_before(candidate, best)) best = candidate;
    }
    last = first_of_block(best);
    if (threadIdx.x != 0) continue;
    if (values != nullptr) values[blockIdx.x * k + rank] = row[last.place];
    result_places[blockIdx.x * k + rank] = static_cast<std::int32_t>(last.place);
  }
}

// --- launcher ---

void find(const Call& call, const Tensor* values, const Tensor& places, Index k) {
  const Tensor& x = call.in[0];
  const Index rows = x.shape().rows();
  if (rows == 0) return;
  visit_floating(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    top_k_kernel<<<one_block_each(rows), row_threads(x.shape().back()), 0, stream_of(call)>>>(
        memory_of<const M>(x), values != nullptr ? memory_of<M>(*values) : nullptr,
        memory_of<std::int32_t>(places), x.shape().back(), k);
  });
  ATOLL_CUDA(cudaGetLastError());
}

}  // namespace

void top_k(const Call& call) { find(call, &call.out[0], call.out[1], call.attributes.rows); }
void arg_max(const Call& call) { find(call, nullptr, call.out[0], 1); }

}  // namespace reef::ops::cuda
