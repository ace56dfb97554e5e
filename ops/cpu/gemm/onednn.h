#pragma once
// oneDNN's matmul under our tiles: for processors that multiply bf16 in hardware (AMX,
// AVX512_BF16), whose kernels it generates. Our own engine widens bf16 and is for all others.

#include "ops/cpu/gemm/engine.h"

namespace reef::ops::cpu {

/// Whether the processor has bf16 products; all those with AMX also have AVX512_BF16.
bool has_bf16_products();

/// The product, or false with nothing written when oneDNN has no kernel of its own for these
/// dtypes and strides. a and b have one dtype, f32 or bf16.
/// Thread: oneDNN works on the thread that calls it; it is never given a team.
/// Memory: primitives are kept by shape, since making one takes 100 us.
bool multiply_by_onednn(const MicroKernels& kernels, const Workers& workers,
                        const MatrixProduct& product);

}  // namespace reef::ops::cpu
