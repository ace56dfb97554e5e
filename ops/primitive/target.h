#pragma once
// What the primitives are compiled for, and why their code lives in one more namespace.
//
// The CPU's sources are compiled once per instruction set. Were `add(Vec, Vec)` the same symbol in
// all of them, the linker would keep one copy, perhaps the one for AVX-512, for everybody. So all
// code here stands in an inline namespace named after the instruction set (ATOLL_ISA, given by the
// build), and nothing of the standard library that has code is included. Types that cross from one
// such object to another stand outside of it.

#include <cstdint>

#ifdef __CUDACC__
#define ATOLL_PRIMITIVE __host__ __device__ __forceinline__
#define ATOLL_PRIMITIVE_RARE __host__ __device__ __noinline__ inline
#define ATOLL_ISA cuda
#else
#define ATOLL_PRIMITIVE inline __attribute__((always_inline))
#define ATOLL_PRIMITIVE_RARE inline __attribute__((noinline, cold))
#ifndef ATOLL_ISA
#define ATOLL_ISA plain
#endif
#endif

namespace reef::ops::primitive {

using Index = std::int64_t;

/// Values held by bf16 and f16 memory; they are only loaded and stored, arithmetic is in f32.
struct BF16 {
  std::uint16_t bits;
};
struct F16 {
  std::uint16_t bits;
};
/// One byte, 0 or 1.
struct Bool {
  std::uint8_t value;
};

/// An element type in memory, for interfaces on raw pointers; numbered as ops::DType.
enum class Element : std::uint8_t { kF32, kBF16, kI32, kU8, kF64, kF16, kI64, kBool };

}  // namespace reef::ops::primitive
