#pragma once
// A GPU's memory, as the system gives it: what the caching Pool stands on.

#include <cuda_runtime_api.h>

#include "ops/tensor/pool.h"

namespace reef::ops::cuda {

/// cudaMalloc and cudaFree on one GPU. Both are slow, which is why a Pool stands before them, and
/// cudaFree waits for the GPU, which is why a block may be given back while kernels still use it.
///
/// A block in the Pool's cache needs no such wait. The host lets go of a tensor when it has queued
/// the last kernel that reads it, long before that kernel runs; the Pool may then hand the block to
/// the next op at once. That op's kernels are queued on the same stream (a Pool belongs to one
/// CudaContext, and a context has one stream), hence run after everything that used the block
/// before. What leaves the stream is ordered by hand: copies to and from the host wait for it, and
/// whoever reads a tensor on another context lets the first one finish, and keeps its handle until
/// it has finished itself.
/// Thread: any. Failure: take() returns null when the GPU has no more.
class CudaMemory final : public Memory {
 public:
  CudaMemory(Device device, int index) : device_(device), index_(index) {}
  Device device() const override { return device_; }
  std::byte* take(std::size_t bytes) override;
  void give_back(std::byte* block, std::size_t bytes) override;

 private:
  Device device_;
  int index_;
};

/// Pinned host memory: copies of the GPU need no other buffer on their way, and run while the host
/// goes on. cudaFreeHost waits for them.
/// Thread: any. Failure: take() returns null when the system gives no more.
class PinnedMemory final : public Memory {
 public:
  explicit PinnedMemory(int index) : index_(index) {}
  Device device() const override { return Device::kCpu; }
  std::byte* take(std::size_t bytes) override;
  void give_back(std::byte* block, std::size_t bytes) override;

 private:
  int index_;
};

}  // namespace reef::ops::cuda
