#pragma once
// Tiles of 16-bit rows in shared memory and their products on tensor cores, for attention.

#include "ops/cuda/attention.cuh"
#include "ops/cuda/mma.cuh"

namespace reef::ops::cuda {

inline constexpr int kMmaWarps = 4;
inline constexpr int kMmaThreads = kMmaWarps * kWarp;
inline constexpr int kMmaRows = 16 * kMmaWarps;  ///< rows that a block owns, 16 a warp

/// Rows of kWidth elements in shared memory. Eight more between rows: the rows of an 8 x 8 matrix
/// then lie in different banks.
template <typename M, int kWidth>
struct MmaTile {
  static constexpr int kStep = kWidth + 8;
  M* data;

  /// Rows [first, first + rows) of a head; zeros outside of (extent, width).
  __device__ void load(const HeadRows<const M>& from, Index first, int rows, Index extent,
                       Index width) const {
    constexpr int kPack = 8;  // 16 bytes
    for (int i = threadIdx.x; i < rows * (kWidth / kPack); i += kMmaThreads) {
      const int row = i / (kWidth / kPack);
      const int column = i % (kWidth / kPack) * kPack;
      M* to = data + row * kStep + column;
      uint4 pack{};
      if (first + row < extent && column < width) {
        const M* source = from.at(first + row) + column;
        if (column + kPack <= width && reinterpret_cast<std::uintptr_t>(source) % 16 == 0) {
          pack = *reinterpret_cast<const uint4*>(source);
        } else {
          M elements[kPack] = {};
          for (int k = 0; k < kPack && column + k < width; ++k) elements[k] = source[k];
          memcpy(&pack, elements, sizeof pack);
        }
      }
      *reinterpret_cast<uint4*>(to) = pack;
    }
  }

  /// Rows [row, row + 16), columns [column, column + 16), as a left operand.
  __device__ Fragment left(int row, int column) const {
    const int lane = threadIdx.x % kWarp;
    return load_matrices(data + (row + lane % 16) * kStep + column + lane / 16 * 8);
  }
  /// The same part, transposed, as two right operands: rows [row, row + 8) and the next eight.
  __device__ Fragment right(int row, int column) const {
    const int lane = threadIdx.x % kWarp;
    return load_matrices(data + (row + lane % 8 + lane / 16 * 8) * kStep + column +
                         lane / 8 % 2 * 8);
  }
  /// The same part as it stands, as two right operands: columns [column, column + 8) and the next.
  __device__ Fragment right_upright(int row, int column) const {
    const int lane = threadIdx.x % kWarp;
    return load_transposed(data + (row + lane % 16) * kStep + column + lane / 16 * 8);
  }
};

/// sums (16, kRows) += rows (16, kWidth) tile (kRows, kWidth)^T.
template <typename M, int kWidth, int kRows>
__device__ void multiply_rows(Sums (&sums)[kRows / 8], const MmaTile<M, kWidth>& rows, int row,
                              const MmaTile<M, kWidth>& tile) {
#pragma unroll
  for (int column = 0; column < kWidth; column += 16) {
    const Fragment a = rows.left(row, column);
#pragma unroll
    for (int n = 0; n < kRows; n += 16) {
      const Fragment b = tile.right(n, column);
      multiply_add<M>(sums[n / 8], a, b.part[0], b.part[1]);
      multiply_add<M>(sums[n / 8 + 1], a, b.part[2], b.part[3]);
    }
  }
}

/// sums (16, kWidth) += weights (16, kRows) tile (kRows, kWidth).
template <typename M, int kWidth, int kRows>
__device__ void multiply_tile(Sums (&sums)[kWidth / 8], const Sums (&weights)[kRows / 8],
                              const MmaTile<M, kWidth>& tile) {
#pragma unroll
  for (int n = 0; n < kRows; n += 16) {
    const Fragment a = to_fragment<M>(weights[n / 8], weights[n / 8 + 1]);
#pragma unroll
    for (int column = 0; column < kWidth; column += 16) {
      const Fragment b = tile.right_upright(n, column);
      multiply_add<M>(sums[column / 8], a, b.part[0], b.part[1]);
      multiply_add<M>(sums[column / 8 + 1], a, b.part[2], b.part[3]);
    }
  }
}

/// Where element i of a lane's Sums stands in its 16 x 8.
__device__ inline int row_in_sums(int i) { return threadIdx.x % kWarp / 4 + (i < 2 ? 0 : 8); }
__device__ inline int column_in_sums(int i) { return threadIdx.x % 4 * 2 + i % 2; }

/// Over the four lanes that hold a row of Sums; each gets it.
template <typename Combine>
__device__ float quad_reduce(float value, Combine combine) {
  for (int step = 1; step < 4; step *= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, step));
  }
  return value;
}

/// Row `row` (of the warp's 16) of sums times factors[row / 8], to rows of a head.
template <typename M, int kWidth>
__device__ void store_rows(const Sums (&sums)[kWidth / 8], const float (&factors)[2],
                           const HeadRows<M>& to, Index first, Index extent, Index width) {
#pragma unroll
  for (int n = 0; n < kWidth / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const Index row = first + row_in_sums(i);
      const int column = n * 8 + column_in_sums(i);
      if (row < extent && column < width) {
        to.at(row)[column] = rounded<M>(sums[n].at[i] * factors[i / 2]);
      }
    }
  }
}

/// visit(std::integral_constant of the least width that holds a head).
template <typename Visit>
void visit_mma_width(Index width, Visit visit) {
  if (width <= 64) return visit(std::integral_constant<int, 64>{});
  CHECK_LE(width, 128);
  visit(std::integral_constant<int, 128>{});
}

}  // namespace reef::ops::cuda
