#pragma once
// The kernels of an NVIDIA GPU, in one place. Nothing registers itself.

#include <span>

#include "ops/catalog/catalog.h"

namespace reef::ops::cuda {

/// Keyed to the number that the process gave the device; the first call's counts.
std::span<const Entry> kernels(Device device);

}  // namespace reef::ops::cuda
