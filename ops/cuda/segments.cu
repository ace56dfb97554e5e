#include "ops/cuda/segments.h"

#include <bit>
#include <cub/device/device_radix_sort.cuh>

#include "ops/cuda/block.cuh"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"

namespace reef::ops::cuda {

namespace {

template <typename I>
__global__ void index_kernel(const I* index, std::uint32_t* keys, std::uint32_t* places,
                             Index count, Index extent) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    check_index(index[i], extent);
    keys[i] = static_cast<std::uint32_t>(index[i]);
    places[i] = static_cast<std::uint32_t>(i);
  }
}

}  // namespace

Sorted sort_index(const Call& call, const Tensor& index, std::int64_t extent) {
  const cudaStream_t stream = stream_of(call);
  const std::int64_t count = index.elements();
  CHECK(count <= kGridLimit && extent <= kGridLimit) << count << " indices into " << extent;
  Sorted sorted{Temporary<std::uint32_t>(call.context, count),
                Temporary<std::uint32_t>(call.context, count), count};
  if (count == 0) return sorted;
  const Temporary<std::uint32_t> keys(call.context, count);
  const Temporary<std::uint32_t> places(call.context, count);
  if (index.dtype() == DType::kI64) {
    index_kernel<<<blocks_for(count), kThreads, 0, stream>>>(
        memory_of<std::int64_t>(index), keys.data(), places.data(), count, extent);
  } else {
    index_kernel<<<blocks_for(count), kThreads, 0, stream>>>(
        memory_of<std::int32_t>(index), keys.data(), places.data(), count, extent);
  }
  ATOLL_CUDA(cudaGetLastError());
  // A radix sort is stable. The first call only says how much room the second wants.
  const int bits = std::bit_width(static_cast<std::uint64_t>(extent));
  std::size_t room = 0;
  ATOLL_CUDA(cub::DeviceRadixSort::SortPairs(nullptr, room, keys.data(), sorted.keys.data(),
                                             places.data(), sorted.places.data(),
                                             static_cast<int>(count), 0, bits, stream));
  const Temporary<std::byte> workspace(call.context, static_cast<std::int64_t>(room));
  ATOLL_CUDA(cub::DeviceRadixSort::SortPairs(
      workspace.data(), room, keys.data(), sorted.keys.data(), places.data(), sorted.places.data(),
      static_cast<int>(count), 0, bits, stream));
  return sorted;
}

}  // namespace reef::ops::cuda
