#pragma once
// Which of the tables of kernels.h this processor can run. Every one has x86-64-v2.

#include <span>

#include "ops/codec/isa/kernels.h"

namespace reef::codec {

/// The table of the best instruction set; the same one for the whole process.
const Kernels& kernels();

/// All that run here, the plainest first: for tests, which hold them against each other.
std::span<const Kernels* const> runnable_kernels();

}  // namespace reef::codec
