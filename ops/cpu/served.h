#pragma once
// How a family of CPU kernels says what it serves; cpu/table.cc makes entries of it.

#include <initializer_list>
#include <span>

#include "ops/catalog/catalog.h"

namespace reef::ops::cpu {

struct Served {
  Op op;
  Kernel kernel;
  Layout layout;
  std::initializer_list<DType> dtypes;
};

inline constexpr std::initializer_list<DType> kFloating = {DType::kF32, DType::kBF16, DType::kF16,
                                                           DType::kF64};
/// Ops whose rows come in either of the two that training uses; f16 goes through f32.
inline constexpr std::initializer_list<DType> kTrained = {DType::kF32, DType::kBF16};
inline constexpr std::initializer_list<DType> kNumeric = {DType::kF32, DType::kBF16, DType::kF16,
                                                          DType::kF64, DType::kI32,  DType::kI64};
inline constexpr std::initializer_list<DType> kEvery = {DType::kF32, DType::kBF16, DType::kF16,
                                                        DType::kF64, DType::kI32,  DType::kI64,
                                                        DType::kU8,  DType::kBool};

std::span<const Served> index_kernels_served();
std::span<const Served> move_kernels_served();
std::span<const Served> norm_kernels_served();
std::span<const Served> pointwise_kernels_served();
std::span<const Served> reduce_kernels_served();
std::span<const Served> scan_kernels_served();
std::span<const Served> scatter_kernels_served();
std::span<const Served> softmax_kernels_served();
std::span<const Served> update_kernels_served();
std::span<const Served> pool_kernels_served();

}  // namespace reef::ops::cpu
