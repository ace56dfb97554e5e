#pragma once
// The GPU that the tests of this folder run on, if there is one.

#include <memory>
#include <string>

#include "ops/plugin/plugin.h"

namespace reef::ops::gpu {

/// The CUDA plug-in: $ATOLL_GPU_PLUGIN, or the one of this build.
const Backend& backend();
/// Why there is no GPU; empty when there is one.
std::string missing();
/// A context on the first GPU, one for the whole process.
Context& context();
/// Another one.
std::shared_ptr<Context> another();

}  // namespace reef::ops::gpu

/// Leaves a test aloud when there is no GPU.
#define ATOLL_NEED_GPU()                                                           \
  if (const std::string missing = ::reef::ops::gpu::missing(); !missing.empty()) { \
    GTEST_SKIP() << "SKIPPED: no GPU: " << missing;                                \
  }
