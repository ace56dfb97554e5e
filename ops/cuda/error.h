#pragma once
// A CUDA call of ours that fails is a bug of ours or a broken machine: the process ends with CUDA's
// own words. The one failure that is neither, memory that runs out, is memory.cc's.

#include <cuda_runtime_api.h>

#include "runtime/base/check.h"

#define ATOLL_CUDA(call)                                                                     \
  do {                                                                                       \
    const cudaError_t atoll_status = (call);                                                 \
    CHECK(atoll_status == cudaSuccess) << #call << ": " << cudaGetErrorString(atoll_status); \
  } while (false)
