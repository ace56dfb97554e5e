// Instantiates each driver for a few functors, so that what is written for the CPU too keeps
// compiling for a GPU. Nothing calls it.

#include "ops/cuda/elementwise.cuh"
#include "ops/cuda/reduction.cuh"
#include "ops/cuda/scan.cuh"
#include "ops/cuda/update.cuh"

namespace reef::ops::cuda {

using primitive::BF16;
using primitive::Bool;
using primitive::F16;

template cudaError_t elementwise<primitive::Add, float, float, 1, float, float>(cudaStream_t,
                                                                                primitive::Add,
                                                                                const Strided&,
                                                                                const Operands&);
template cudaError_t elementwise<primitive::Erf, double, double, 1, double>(cudaStream_t,
                                                                            primitive::Erf,
                                                                            const Strided&,
                                                                            const Operands&);
template cudaError_t elementwise<primitive::Sin, float, F16, 1, F16>(cudaStream_t, primitive::Sin,
                                                                     const Strided&,
                                                                     const Operands&);
template cudaError_t elementwise<primitive::Gelu, float, BF16, 1, BF16>(cudaStream_t,
                                                                        primitive::Gelu,
                                                                        const Strided&,
                                                                        const Operands&);
template cudaError_t elementwise<primitive::Less, std::int64_t, Bool, 1, std::int64_t,
                                 std::int64_t>(cudaStream_t, primitive::Less, const Strided&,
                                               const Operands&);
template cudaError_t elementwise<primitive::Where, float, BF16, 1, Bool, BF16, BF16>(
    cudaStream_t, primitive::Where, const Strided&, const Operands&);
template cudaError_t elementwise<primitive::SwiGluGrad, float, BF16, 2, BF16, BF16, BF16>(
    cudaStream_t, primitive::SwiGluGrad, const Strided&, const Operands&);

template cudaError_t reduce<primitive::SumFold, float, BF16, BF16>(cudaStream_t, const BF16*, BF16*,
                                                                   float*, const Axes&);
template cudaError_t reduce<primitive::SquareSumFold, double, float, double>(cudaStream_t,
                                                                             const float*, double*,
                                                                             double*, const Axes&);
template cudaError_t reduce<primitive::MaximumFold, std::int64_t, std::int64_t, std::int64_t>(
    cudaStream_t, const std::int64_t*, std::int64_t*, std::int64_t*, const Axes&);
template cudaError_t arg_maximum<F16, std::int32_t>(cudaStream_t, const F16*, std::int32_t*,
                                                    const Axes&);

template cudaError_t cumulative_sum<float, float>(cudaStream_t, const float*, float*, float*,
                                                  const Lines&);

template cudaError_t update<primitive::AdamWRule, float, BF16, BF16>(cudaStream_t,
                                                                     const primitive::AdamWRule&,
                                                                     const BF16*, float*, float*,
                                                                     float*, BF16*, Index);
template cudaError_t update<primitive::LionRule, float, float, BF16>(cudaStream_t,
                                                                     const primitive::LionRule&,
                                                                     const float*, float*, float*,
                                                                     float*, BF16*, Index);

}  // namespace reef::ops::cuda
