#include "ops/cuda/context.h"

#include "ops/cuda/blas.h"
#include "ops/cuda/error.h"
#include "ops/cuda/memory.h"

namespace reef::ops::cuda {

namespace {

/// The oldest generation that the build has code for.
constexpr int kOldestMajor = 8;

/// Empty when the GPU will do.
std::string problem_with(int index) {
  int count = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) return cudaGetErrorString(status);
  if (index < 0 || index >= count) {
    return "there is no GPU " + std::to_string(index) + ", only " + std::to_string(count);
  }
  cudaDeviceProp properties;
  status = cudaGetDeviceProperties(&properties, index);
  if (status != cudaSuccess) return cudaGetErrorString(status);
  if (properties.major < kOldestMajor) {
    return std::string(properties.name) + " has compute capability " +
           std::to_string(properties.major) + "." + std::to_string(properties.minor) +
           ", 8.0 is the least";
  }
  status = cudaSetDevice(index);
  return status == cudaSuccess ? "" : cudaGetErrorString(status);
}

}  // namespace

std::unique_ptr<CudaContext> CudaContext::open(Device device, int index, std::string& reason) {
  reason = problem_with(index);
  if (!reason.empty()) return nullptr;
  return std::unique_ptr<CudaContext>(new CudaContext(device, index));
}

CudaContext::CudaContext(Device device, int index) : device_(device), index_(index) {
  // Not ordered against the default stream, which nobody here uses.
  ATOLL_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  pool_ = std::make_unique<Pool>(std::make_shared<CudaMemory>(device, index));
  pinned_ = std::make_unique<Pool>(std::make_shared<PinnedMemory>(index));
  staging_ = std::make_unique<Staging>(stream_);
  blas_ = std::make_unique<Blas>(*pool_);
}

CudaContext::~CudaContext() {
  synchronize();
  blas_.reset();
  staging_.reset();
  pinned_.reset();
  pool_.reset();
  ATOLL_CUDA(cudaStreamDestroy(stream_));
}

cudaStream_t CudaContext::stream() const {
  ATOLL_CUDA(cudaSetDevice(index_));
  return stream_;
}

void CudaContext::parallel_for(std::size_t, TaskRef) {
  CHECK(false) << "a kernel for the host was given a GPU's context";
}

void CudaContext::copy_to_device(std::byte* to, const std::byte* from, std::size_t bytes) {
  ATOLL_CUDA(cudaSetDevice(index_));
  staging_->to_device(to, from, bytes);
}

void CudaContext::copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) {
  ATOLL_CUDA(cudaSetDevice(index_));
  staging_->to_host(to, from, bytes);
}

void CudaContext::start_copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) {
  ATOLL_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()));
}

void CudaContext::copy_within(std::byte* to, const std::byte* from, std::size_t bytes) {
  ATOLL_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()));
}

void CudaContext::synchronize() { ATOLL_CUDA(cudaStreamSynchronize(stream())); }

void CudaContext::when_done(void (*call)(void*), void* argument) {
  ATOLL_CUDA(cudaLaunchHostFunc(stream(), call, argument));
}

}  // namespace reef::ops::cuda
