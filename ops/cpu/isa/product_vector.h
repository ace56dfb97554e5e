#pragma once
// Vectors as wide as the registers, and how many of them a product keeps there: for the sources
// that multiply (gemm/micro_kernels.cc, isa/attention.cc). Compiled once per instruction set, hence
// the unnamed namespace; nothing of the standard library may be used here (see kernels.h).

#include "ops/cpu/isa/kernels.h"

#define ATOLL_INLINE static inline __attribute__((always_inline))

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

// A block of kRows x kColumns sums, two vectors of the right operand and a broadcast of the left
// fill the registers: 15 of 16, with AVX-512 27 of 32.
#if defined(__AVX512F__)
constexpr Index kLanes = 16;
constexpr Index kRows = 12;
#elif defined(__AVX2__)
constexpr Index kLanes = 8;
constexpr Index kRows = 6;
#else
constexpr Index kLanes = 4;
constexpr Index kRows = 6;
#endif
constexpr Index kVectors = 2;
constexpr Index kColumns = kVectors * kLanes;

typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef float VecAt __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef float Quad __attribute__((vector_size(16)));
typedef float QuadAt __attribute__((vector_size(16), aligned(4), may_alias));
typedef std::uint32_t UintQuad __attribute__((vector_size(16)));
typedef std::uint16_t HalfQuadAt __attribute__((vector_size(8), aligned(2), may_alias));

ATOLL_INLINE Vec load(const float* from) { return *reinterpret_cast<const VecAt*>(from); }
ATOLL_INLINE void store(float* to, Vec value) { *reinterpret_cast<VecAt*>(to) = value; }
/// Subtracting zero is dropped by the compiler; adding it is not, since -0 + 0 is 0.
ATOLL_INLINE Vec all(float value) { return value - Vec{}; }

}  // namespace
}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
