#pragma once
// The CPU backend, as the catalog sees it: products in gemm/, attention in attention/,
// vector loops in isa/ for the rest.

#include <span>

#include "ops/catalog/catalog.h"

namespace reef::ops::cpu {

std::span<const Entry> kernels();

}  // namespace reef::ops::cpu
