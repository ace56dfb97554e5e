#pragma once
// The built-in backends, in one place. Nothing registers itself.

#include <span>

#include "ops/catalog/catalog.h"

namespace reef::ops {

std::span<const std::span<const Entry>> built_in_kernels();

}  // namespace reef::ops
