#pragma once
// Plain loops, written for reading: what every other backend is compared with, and what the CPU
// falls back to.

#include <span>

#include "ops/catalog/catalog.h"

namespace reef::ops::reference {

std::span<const Entry> kernels();

}  // namespace reef::ops::reference
