#pragma once
// Tensor cores: a warp multiplies small matrices of 16-bit floats and adds in f32. A lane holds, of
// each 8 x 8 part of a matrix, the elements (g, 2t) and (g, 2t + 1), g = lane / 4, t = lane % 4, as
// one 32-bit word (PTX ISA, "Matrix fragments for mma.m16n8k16").

#include "ops/cuda/element.cuh"

namespace reef::ops::cuda {

/// A matrix of 16 x 16 by its four parts: upper left, lower left, upper right, lower right.
struct Fragment {
  std::uint32_t part[4];
};

/// 16 x 8 sums in f32: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
struct Sums {
  float at[4];
};

/// Four 8 x 8 matrices from shared memory: lane l gives the address of row l % 8 of matrix l / 8,
/// 16 bytes aligned to as many.
__device__ inline Fragment load_matrices(const void* row) {
  Fragment f;
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.part[0]), "=r"(f.part[1]), "=r"(f.part[2]), "=r"(f.part[3])
               : "r"(address)
               : "memory");
  return f;
}
/// The same, each matrix transposed.
__device__ inline Fragment load_transposed(const void* row) {
  Fragment f;
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.part[0]), "=r"(f.part[1]), "=r"(f.part[2]), "=r"(f.part[3])
               : "r"(address)
               : "memory");
  return f;
}

/// sums (16 x 8) += a (16 x 16) b (16 x 8); b0 and b1 are the upper and lower part of b,
/// transposed.
template <typename M>
__device__ inline void multiply_add(Sums& sums, const Fragment& a, std::uint32_t b0,
                                    std::uint32_t b1) {
  if constexpr (std::is_same_v<M, BF16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums.at[0]), "+f"(sums.at[1]), "+f"(sums.at[2]), "+f"(sums.at[3])
        : "r"(a.part[0]), "r"(a.part[1]), "r"(a.part[2]), "r"(a.part[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums.at[0]), "+f"(sums.at[1]), "+f"(sums.at[2]), "+f"(sums.at[3])
        : "r"(a.part[0]), "r"(a.part[1]), "r"(a.part[2]), "r"(a.part[3]), "r"(b0), "r"(b1));
  }
}

/// Two floats as one word of a fragment.
template <typename M>
__device__ inline std::uint32_t packed(float low, float high) {
  return std::uint32_t{rounded<M>(high).bits} << 16 | rounded<M>(low).bits;
}

/// Two 16 x 8 sums side by side, rounded: a left operand.
template <typename M>
__device__ inline Fragment to_fragment(const Sums& left, const Sums& right) {
  return {{packed<M>(left.at[0], left.at[1]), packed<M>(left.at[2], left.at[3]),
           packed<M>(right.at[0], right.at[1]), packed<M>(right.at[2], right.at[3])}};
}

}  // namespace reef::ops::cuda
