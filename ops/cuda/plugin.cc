#include "ops/plugin/plugin.h"

#include <cuda_runtime_api.h>

#include <string>

#include "ops/cuda/context.h"
#include "ops/cuda/nccl.h"
#include "ops/cuda/table.h"

namespace reef::ops::cuda {

namespace {

/// Valid until the thread asks again.
std::string& last_reason() {
  thread_local std::string reason;
  return reason;
}

int count(const char** reason) {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status == cudaSuccess && devices > 0) return devices;
  int driver = 0;
  if (status == cudaSuccess) {
    *reason = "the driver knows no GPU";
  } else if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0) {
    *reason = "there is no CUDA driver";  // CUDA itself would call it too old
  } else {
    *reason = cudaGetErrorString(status);
  }
  return 0;
}

Context* open(Device device, int index, const char** reason) {
  std::unique_ptr<CudaContext> context = CudaContext::open(device, index, last_reason());
  if (context == nullptr) *reason = last_reason().c_str();
  return context.release();
}

std::span<const Entry> kernels_for(Device device) {
  name_device(device, "cuda");  // for messages
  return kernels(device);
}

void close(Context* context) { delete context; }

#ifdef ATOLL_WITH_NCCL
constexpr const Groups* kGroups = &kNcclGroups;
#else
constexpr const Groups* kGroups = nullptr;
#endif
constexpr Plugin kPlugin = {kPluginAbi, "cuda", count, kernels_for, open, close, kGroups};

}  // namespace

}  // namespace reef::ops::cuda

extern "C" __attribute__((visibility("default"))) const reef::ops::Plugin* atoll_plugin() {
  return &reef::ops::cuda::kPlugin;
}
