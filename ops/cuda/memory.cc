#include "ops/cuda/memory.h"

#include "ops/cuda/error.h"

namespace reef::ops::cuda {

std::byte* CudaMemory::take(std::size_t bytes) {
  ATOLL_CUDA(cudaSetDevice(index_));
  void* block = nullptr;
  const cudaError_t status = cudaMalloc(&block, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // else the next launch would report it
    return nullptr;
  }
  CHECK(status == cudaSuccess) << "cudaMalloc: " << cudaGetErrorString(status);
  return static_cast<std::byte*>(block);
}

void CudaMemory::give_back(std::byte* block, std::size_t) {
  // Tensors of static lifetime may outlive the driver, which has then freed everything.
  const cudaError_t chosen = cudaSetDevice(index_);
  if (chosen == cudaErrorCudartUnloading) return;
  CHECK(chosen == cudaSuccess) << "cudaSetDevice: " << cudaGetErrorString(chosen);
  const cudaError_t status = cudaFree(block);
  CHECK(status == cudaSuccess || status == cudaErrorCudartUnloading)
      << "cudaFree: " << cudaGetErrorString(status);
}

std::byte* PinnedMemory::take(std::size_t bytes) {
  ATOLL_CUDA(cudaSetDevice(index_));
  void* block = nullptr;
  const cudaError_t status = cudaHostAlloc(&block, bytes, cudaHostAllocDefault);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // else the next launch would report it
    return nullptr;
  }
  CHECK(status == cudaSuccess) << "cudaHostAlloc: " << cudaGetErrorString(status);
  return static_cast<std::byte*>(block);
}

void PinnedMemory::give_back(std::byte* block, std::size_t) {
  const cudaError_t chosen = cudaSetDevice(index_);
  if (chosen == cudaErrorCudartUnloading) return;
  CHECK(chosen == cudaSuccess) << "cudaSetDevice: " << cudaGetErrorString(chosen);
  const cudaError_t status = cudaFreeHost(block);
  CHECK(status == cudaSuccess || status == cudaErrorCudartUnloading)
      << "cudaFreeHost: " << cudaGetErrorString(status);
}

}  // namespace reef::ops::cuda
