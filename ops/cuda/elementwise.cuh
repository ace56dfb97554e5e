#pragma once
// Elementwise kernels over any layout: a functor of ops/primitive/functors.h, one element (or 16
// bytes of them) a thread at a time. Templates; whoever includes this chooses what is compiled.

#include <cuda_runtime.h>

#include <utility>

#include "ops/cuda/launch.cuh"
#include "ops/primitive/functors.h"
#include "ops/primitive/strided.h"

namespace reef::ops::cuda {

using primitive::Strided;

/// Device pointers; strides and shape are in the layout that goes with them.
struct Operands {
  const void* in[primitive::kMaxInputs] = {};
  void* out[primitive::kMaxOutputs] = {};
};

// --- kernels ---

/// Neighbours that are loaded and stored by one instruction.
template <typename M, int kPack>
struct alignas(kPack * sizeof(M)) Pack {
  M at[kPack];
};

/// Elements [offset, offset + kPack) as values of T, or one element kPack times for stride 0.
template <typename M, int kPack, typename T>
__device__ void fetch(const void* base, Index offset, Index stride, T (&values)[kPack]) {
  const M* from = static_cast<const M*>(base) + offset;
  if (kPack > 1 && stride == 0) {
    const T value = primitive::number<T>(primitive::to_value(*from));
    for (int i = 0; i < kPack; ++i) values[i] = value;
    return;
  }
  const auto pack = *reinterpret_cast<const Pack<M, kPack>*>(from);
  for (int i = 0; i < kPack; ++i) {
    values[i] = primitive::number<T>(primitive::to_value(pack.at[i]));
  }
}

template <typename M, int kPack, typename T>
__device__ void put(void* base, Index offset, const T (&values)[kPack]) {
  Pack<M, kPack> pack;
  for (int i = 0; i < kPack; ++i) pack.at[i] = primitive::from_value<M>(values[i]);
  *reinterpret_cast<Pack<M, kPack>*>(static_cast<M*>(base) + offset) = pack;
}

/// Where pack `number` lies in each operand; Number is 32 bits wide where that is enough, because
/// divisions are what this costs.
template <int kOperands, typename Number>
__device__ void locate(const Strided& layout, Number number, int pack,
                       Index (&offsets)[kOperands]) {
  for (Index& offset : offsets) offset = 0;
  for (int axis = layout.rank - 1; axis >= 0; --axis) {
    const bool last = axis == layout.rank - 1;
    const auto extent = static_cast<Number>(last ? layout.shape[axis] / pack : layout.shape[axis]);
    const Number next = axis > 0 ? number / extent : 0;
    const Index at = static_cast<Index>(number - next * extent) * (last ? pack : 1);
    for (int k = 0; k < kOperands; ++k) offsets[k] += at * layout.strides[k][axis];
    number = next;
  }
}

template <typename F, int kInputs, int kOutputs, typename V>
__device__ void compute(const F& f, V& x, V& y, int i) {
  if constexpr (kOutputs == 2 && kInputs == 3) {
    f(x[0][i], x[1][i], x[2][i], y[0][i], y[1][i]);
  } else if constexpr (kOutputs == 2) {
    f(x[0][i], x[1][i], y[0][i], y[1][i]);
  } else if constexpr (kInputs == 3) {
    y[0][i] = f(x[0][i], x[1][i], x[2][i]);
  } else if constexpr (kInputs == 2) {
    y[0][i] = f(x[0][i], x[1][i]);
  } else {
    y[0][i] = f(x[0][i]);
  }
}

template <int kPack, typename Number, typename F, typename T, typename Out, int kOutputs,
          typename... In>
__global__ void __launch_bounds__(kThreads)
    elementwise_kernel(F f, Strided layout, Operands operands, Number packs) {
  constexpr int kInputs = sizeof...(In);
  const int last = layout.rank - 1;
  for (Number number = blockIdx.x * kThreads + threadIdx.x; number < packs;
       number += gridDim.x * kThreads) {
    Index offsets[kInputs + kOutputs];
    locate(layout, number, kPack, offsets);
    T x[3][kPack];
    T y[3][kPack];
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      (fetch<In, kPack>(operands.in[k], offsets[k], layout.strides[k][last], x[k]), ...);
    }
    (std::index_sequence_for<In...>());
    for (int i = 0; i < kPack; ++i) compute<F, kInputs, kOutputs>(f, x, y, i);
    for (int k = 0; k < kOutputs; ++k) {
      put<Out, kPack>(operands.out[k], offsets[kInputs + k], y[k]);
    }
  }
}

// --- launcher ---

/// Bytes of the widest of some element types.
template <typename... M>
constexpr int widest_of() {
  int widest = 0;
  ((widest = int{sizeof(M)} > widest ? int{sizeof(M)} : widest), ...);
  return widest;
}

/// Whether packs of an operand begin at addresses that one instruction can load from.
template <typename M>
bool packs_well(const Strided& layout, int operand, const void* base, int pack) {
  const int last = layout.rank - 1;
  const Index* strides = layout.strides[operand];
  bool well = strides[last] == 1 || (strides[last] == 0 && operand < layout.inputs);
  if (strides[last] == 1) {
    well = well && reinterpret_cast<std::uintptr_t>(base) % (pack * sizeof(M)) == 0;
    for (int axis = 0; axis < last; ++axis) well = well && strides[axis] % pack == 0;
  }
  return well;
}

template <int kPack, typename F, typename T, typename Out, int kOutputs, typename... In>
cudaError_t launch_elementwise(cudaStream_t stream, F f, const Strided& layout,
                               const Operands& operands, Index packs) {
  if (packs <= 0x3FFFFFFF) {
    elementwise_kernel<kPack, std::uint32_t, F, T, Out, kOutputs, In...>
        <<<blocks_for(packs), kThreads, 0, stream>>>(f, layout, operands,
                                                     static_cast<std::uint32_t>(packs));
  } else {
    elementwise_kernel<kPack, std::uint64_t, F, T, Out, kOutputs, In...>
        <<<blocks_for(packs), kThreads, 0, stream>>>(f, layout, operands,
                                                     static_cast<std::uint64_t>(packs));
  }
  return cudaGetLastError();
}

/// f of inputs with elements In .. computed in T, to kOutputs outputs of Out. `layout` is
/// coalesced. cudaErrorInvalidValue when it is not for that many operands. Outputs may be inputs if
/// laid out alike.
template <typename F, typename T, typename Out, int kOutputs, typename... In>
cudaError_t elementwise(cudaStream_t stream, F f, const Strided& layout, const Operands& operands) {
  constexpr int kInputs = sizeof...(In);
  if (layout.inputs != kInputs || layout.outputs != kOutputs || layout.rank < 1) {
    return cudaErrorInvalidValue;
  }
  const Index count = primitive::elements_of(layout);
  if (count == 0) return cudaSuccess;
  constexpr int kPack = 16 / widest_of<Out, In...>();
  bool pack = layout.shape[layout.rank - 1] % kPack == 0;
  int operand = 0;
  ((pack = pack && packs_well<In>(layout, operand, operands.in[operand], kPack), ++operand), ...);
  for (int k = 0; k < kOutputs; ++k) {
    pack = pack && packs_well<Out>(layout, kInputs + k, operands.out[k], kPack);
  }
  if (pack) {
    return launch_elementwise<kPack, F, T, Out, kOutputs, In...>(stream, f, layout, operands,
                                                                 count / kPack);
  }
  return launch_elementwise<1, F, T, Out, kOutputs, In...>(stream, f, layout, operands, count);
}

}  // namespace reef::ops::cuda
