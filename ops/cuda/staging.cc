#include "ops/cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "ops/cuda/error.h"

namespace reef::ops::cuda {

Staging::Staging(cudaStream_t stream) : stream_(stream) {
  for (Slot& slot : slots_) {
    void* data = nullptr;
    ATOLL_CUDA(cudaHostAlloc(&data, kSlotBytes, cudaHostAllocDefault));
    slot.data = static_cast<std::byte*>(data);
    ATOLL_CUDA(cudaEventCreateWithFlags(&slot.used, cudaEventDisableTiming));
  }
}

Staging::~Staging() {
  for (Slot& slot : slots_) {
    ATOLL_CUDA(cudaEventSynchronize(slot.used));
    ATOLL_CUDA(cudaEventDestroy(slot.used));
    ATOLL_CUDA(cudaFreeHost(slot.data));
  }
}

Staging::Slot& Staging::acquire() {
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % kSlots;
  ATOLL_CUDA(cudaEventSynchronize(slot.used));  // at once when it was never recorded
  return slot;
}

void Staging::to_device(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t piece = std::min(kSlotBytes, bytes - done);
    Slot& slot = acquire();
    std::memcpy(slot.data, from + done, piece);
    ATOLL_CUDA(cudaMemcpyAsync(to + done, slot.data, piece, cudaMemcpyHostToDevice, stream_));
    ATOLL_CUDA(cudaEventRecord(slot.used, stream_));
    done += piece;
  }
}

void Staging::to_host(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::array<Slot*, kSlots> flying{};
  const std::size_t pieces = (bytes + kSlotBytes - 1) / kSlotBytes;
  // Piece i is asked for kSlots pieces before it is needed.
  for (std::size_t i = 0; i < pieces + kSlots; ++i) {
    if (i >= kSlots && i - kSlots < pieces) {
      const std::size_t arrived = i - kSlots;
      const std::size_t offset = arrived * kSlotBytes;
      Slot& slot = *flying[arrived % kSlots];
      ATOLL_CUDA(cudaEventSynchronize(slot.used));
      std::memcpy(to + offset, slot.data, std::min(kSlotBytes, bytes - offset));
    }
    if (i < pieces) {
      const std::size_t offset = i * kSlotBytes;
      Slot& slot = acquire();
      ATOLL_CUDA(cudaMemcpyAsync(slot.data, from + offset, std::min(kSlotBytes, bytes - offset),
                                 cudaMemcpyDeviceToHost, stream_));
      ATOLL_CUDA(cudaEventRecord(slot.used, stream_));
      flying[i % kSlots] = &slot;
    }
  }
}

}  // namespace reef::ops::cuda
