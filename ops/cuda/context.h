#pragma once
// One order of work on one GPU, as the ops see it.

#include <cuda_runtime_api.h>

#include <memory>
#include <string>

#include "ops/catalog/catalog.h"
#include "ops/cuda/staging.h"
#include "ops/tensor/context.h"

namespace reef::ops::cuda {

class Blas;

/// A stream with memory, a pinned ring and a cuBLASLt handle of its own, so that contexts on one
/// GPU share nothing but the GPU. See memory.h for why blocks of its pool may be reused at once.
/// Thread: one at a time, any; each call chooses its GPU first, because CUDA keeps the choice by
/// thread.
/// Failure: only open() can fail; see error.h.
class CudaContext final : public Context {
 public:
  /// Null, with a reason for people, when the GPU is not there or is not one we have code for.
  static std::unique_ptr<CudaContext> open(Device device, int index, std::string& reason);
  ~CudaContext() override;

  Device device() const override { return device_; }
  Pool& pool() override { return *pool_; }
  /// A bug of the caller: kernels for this device are launched, not called.
  void parallel_for(std::size_t tasks, TaskRef task) override;
  void copy_to_device(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void start_copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void copy_within(std::byte* to, const std::byte* from, std::size_t bytes) override;
  Pool& staging() override { return *pinned_; }
  void synchronize() override;
  void when_done(void (*call)(void*), void* argument) override;

  /// For launches; makes this context's GPU the calling thread's.
  cudaStream_t stream() const;
  Blas& blas() { return *blas_; }

 private:
  CudaContext(Device device, int index);

  Device device_;
  int index_;
  cudaStream_t stream_ = nullptr;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Pool> pinned_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<Blas> blas_;
};

inline CudaContext& context_of(const Call& call) { return static_cast<CudaContext&>(call.context); }
inline cudaStream_t stream_of(const Call& call) { return context_of(call).stream(); }

/// Memory for the length of one op; see memory.h for why it may go before the kernels ran.
template <typename T>
class Temporary {
 public:
  Temporary(Context& context, std::int64_t elements)
      : block_(context.pool().allocate(static_cast<std::size_t>(elements) * sizeof(T))) {}
  T* data() const { return reinterpret_cast<T*>(block_.get()); }

 private:
  std::shared_ptr<std::byte> block_;
};

}  // namespace reef::ops::cuda
