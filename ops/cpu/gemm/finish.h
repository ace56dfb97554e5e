#pragma once
// Declares each instruction set's finish(): in a source of its own because, unlike the products, it
// is compiled without contraction, which keeps its numbers those of the separate ops.

#include "ops/cpu/gemm/micro_kernels.h"

namespace reef::ops::cpu {

namespace v2 {
void finish(const Finish& finish, Index first_row, Index rows, Index first_column, Index columns);
}
namespace v3 {
void finish(const Finish& finish, Index first_row, Index rows, Index first_column, Index columns);
}
namespace v4 {
void finish(const Finish& finish, Index first_row, Index rows, Index first_column, Index columns);
}

}  // namespace reef::ops::cpu
