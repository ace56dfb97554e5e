// Reading and adding by index. What is added to one place is added in order by one thread.

#include "ops/cuda/block.cuh"
#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/move.h"
#include "ops/cuda/segments.h"

namespace reef::ops::cuda {

namespace {

/// A row-major tensor seen as (outer, extent, inner) around one axis.
struct Around {
  Index outer = 1, extent = 1, inner = 1;
};

Around around(const Shape& shape, std::size_t axis) {
  Around result;
  result.extent = shape[axis];
  for (std::size_t i = 0; i < axis; ++i) result.outer *= shape[i];
  for (std::size_t i = axis + 1; i < shape.rank(); ++i) result.inner *= shape[i];
  return result;
}

// --- kernels ---

template <typename M>
__global__ void embedding_kernel(const std::int32_t* tokens,  // (B, T)
                                 const M* table,              // (V, C)
                                 const M* positions,          // (P, C) or null
                                 M* out,                      // (B, T, C)
                                 Index count, Index length, Index rows, Index columns) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const Index token = tokens[i / columns];
    check_index(token, rows);
    Compute<M> value = value_of(table[token * columns + i % columns]);
    if (positions != nullptr) value += value_of(positions[i % (length * columns)]);
    out[i] = rounded<M>(value);
  }
}

/// out[.., e, ..] = x[.., index[e], ..].
template <typename U, typename I>
__global__ void index_select_kernel(const U* x,      // (outer, extent, inner)
                                    const I* index,  // (picked)
                                    U* out,          // (outer, picked, inner)
                                    Index extent, Index picked, Index inner, Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const Index row = i / inner;
    const Index from = index[row % picked];
    check_index(from, extent);
    out[i] = x[(row / picked * extent + from) * inner + i % inner];
  }
}

/// out[.., e, i] = x[.., index[.., e, i], i].
template <typename U, typename I>
__global__ void gather_kernel(const U* x,      // (outer, extent, inner)
                              const I* index,  // (outer, picked, inner)
                              U* out,          // (outer, picked, inner)
                              Index extent, Index picked, Index inner, Index count) {
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const Index from = index[i];
    check_index(from, extent);
    out[i] = x[(i / (picked * inner) * extent + from) * inner + i % inner];
  }
}

/// The first of `count` ascending keys that is not below `key`.
__device__ Index lower_bound(const std::uint32_t* keys, Index count, Index key) {
  Index first = 0;
  while (count > 0) {
    const Index half = count / 2;
    if (keys[first + half] < key) {
      first += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return first;
}

/// out[o, row, i] = the sum of source[o, place, i] over the places whose key is `row`, in order.
/// One block for each row and block of columns, so that all read one segment.
template <typename M, typename S>
__global__ void segment_sum_kernel(const std::uint32_t* keys,
                                   const std::uint32_t* places,  // (count)
                                   const M* source,              // (outer, count, inner)
                                   S* out,                       // (outer, rows, inner)
                                   Index count, Index rows, Index outer, Index inner) {
  const Index row = blockIdx.x;
  const Index first = lower_bound(keys, count, row);
  const Index last = lower_bound(keys, count, row + 1);
  const Index step = Index{gridDim.y} * blockDim.x;
  for (Index at = Index{blockIdx.y} * blockDim.x + threadIdx.x; at < outer * inner; at += step) {
    const Index o = at / inner;
    const Index i = at % inner;
    Compute<M> sum = 0;
    for (Index k = first; k < last; ++k) {
      sum += value_of(source[(o * count + places[k]) * inner + i]);
    }
    out[(o * rows + row) * inner + i] = rounded<S>(static_cast<Compute<S>>(sum));
  }
}

/// out[t, c] = the sum of grad[b, t, c] over b, in order; 0 past the last position.
template <typename M, typename S>
__global__ void position_grad_kernel(const M* grad,  // (batch, length, columns)
                                     S* out,         // (positions, columns)
                                     Index batch, Index stride, Index count) {
  const Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  S sum = 0;
  for (Index b = 0; b < batch && i < stride; ++b) {
    sum += static_cast<S>(value_of(grad[b * stride + i]));
  }
  out[i] = sum;
}

/// sums[o, index[o, e, i], i] += source[o, e, i] for all e in order, each (o, i) by one thread.
template <typename M, typename I, typename V>
__global__ void scatter_add_kernel(const I* index,   // (outer, count, inner)
                                   const M* source,  // (outer, count, inner)
                                   V* sums,          // (outer, rows, inner), zeros
                                   Index count, Index rows, Index inner, Index lines) {
  const Index line = Index{blockIdx.x} * blockDim.x + threadIdx.x;
  if (line >= lines) return;
  const Index o = line / inner;
  const Index i = line % inner;
  for (Index e = 0; e < count; ++e) {
    const Index from = (o * count + e) * inner + i;
    const Index row = index[from];
    check_index(row, rows);
    sums[(o * rows + row) * inner + i] += value_of(source[from]);
  }
}

// --- launchers ---

template <typename Visit>
void visit_index(DType dtype, Visit visit) {
  if (dtype == DType::kI64) return visit(TypeIs<std::int64_t>{});
  CHECK(dtype == DType::kI32);
  visit(TypeIs<std::int32_t>{});
}

unsigned blocks_of(Index count) { return one_block_each(ceil_div(count, kThreads)); }

void sum_segments(const Call& call, const Sorted& sorted, const Tensor& source, const Tensor& out,
                  const Around& to) {
  if (out.elements() == 0) return;
  const Index columns = to.outer * to.inner;
  const dim3 grid(one_block_each(to.extent),
                  static_cast<unsigned>(std::min<Index>(ceil_div(columns, kThreads), 65535)));
  const unsigned block = columns <= 128 ? 128 : kThreads;
  visit_floating(source.dtype(), [&](auto type) {
    visit_floating(out.dtype(), [&](auto sum_type) {
      using M = typename decltype(type)::Type;
      using S = typename decltype(sum_type)::Type;
      segment_sum_kernel<<<grid, block, 0, stream_of(call)>>>(
          sorted.keys.data(), sorted.places.data(), memory_of<const M>(source), memory_of<S>(out),
          sorted.count, to.extent, to.outer, to.inner);
    });
  });
  ATOLL_CUDA(cudaGetLastError());
}

/// Calls launch(grid, x, index, out, x around the axis) unless nothing is picked.
template <typename Launch>
void pick(const Call& call, Launch launch) {
  const Tensor& out = call.out[0];
  if (out.elements() == 0) return;
  visit_width(out.dtype(), [&](auto type) {
    visit_index(call.in[1].dtype(), [&](auto index_type) {
      using U = typename decltype(type)::Type;
      using I = typename decltype(index_type)::Type;
      launch(blocks_for(out.elements()), memory_of<const U>(call.in[0]),
             memory_of<const I>(call.in[1]), memory_of<U>(out),
             around(call.in[0].shape(), call.attributes.axis));
    });
  });
  ATOLL_CUDA(cudaGetLastError());
}

}  // namespace

void embedding(const Call& call) {
  const Tensor& table = call.in[1];
  const Tensor& out = call.out[0];
  if (out.elements() == 0) return;
  visit_floating(table.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    const M* positions = call.in.size() > 2 ? memory_of<M>(call.in[2]) : nullptr;
    embedding_kernel<<<blocks_for(out.elements()), kThreads, 0, stream_of(call)>>>(
        memory_of<const std::int32_t>(call.in[0]), memory_of<const M>(table), positions,
        memory_of<M>(out), out.elements(), call.in[0].shape()[1], table.shape()[0],
        table.shape()[1]);
  });
  ATOLL_CUDA(cudaGetLastError());
}

void embedding_grad(const Call& call) {
  const Tensor& tokens = call.in[0];
  const Tensor& grad = call.in[1];
  const Index columns = grad.shape().back();
  const Sorted sorted = sort_index(call, tokens, call.attributes.rows);
  sum_segments(call, sorted, grad, call.out[0], around(call.out[0].shape(), 0));
  if (call.out.size() < 2 || call.out[1].elements() == 0) return;
  visit_floating(grad.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    position_grad_kernel<<<blocks_of(call.out[1].elements()), kThreads, 0, stream_of(call)>>>(
        memory_of<const M>(grad), memory_of<Compute<M>>(call.out[1]), tokens.shape()[0],
        tokens.shape()[1] * columns, call.out[1].elements());
  });
  ATOLL_CUDA(cudaGetLastError());
}

void index_select(const Call& call) {
  const Index picked = call.in[1].elements();
  pick(call, [&](unsigned grid, const auto* x, const auto* index, auto* out, const Around& from) {
    index_select_kernel<<<grid, kThreads, 0, stream_of(call)>>>(x, index, out, from.extent, picked,
                                                                from.inner, call.out[0].elements());
  });
}

void index_add(const Call& call) {
  const Sorted sorted = sort_index(call, call.in[0], call.attributes.rows);
  sum_segments(call, sorted, call.in[1], call.out[0],
               around(call.out[0].shape(), call.attributes.axis));
}

void gather(const Call& call) {
  const Index picked = call.out[0].shape()[call.attributes.axis];
  pick(call, [&](unsigned grid, const auto* x, const auto* index, auto* out, const Around& from) {
    gather_kernel<<<grid, kThreads, 0, stream_of(call)>>>(x, index, out, from.extent, picked,
                                                          from.inner, call.out[0].elements());
  });
}

void scatter_add(const Call& call) {
  const Tensor& source = call.in[1];
  const Tensor& out = call.out[0];
  const Around to = around(out.shape(), call.attributes.axis);
  const Index lines = to.outer * to.inner;
  const DType sums_dtype = out.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
  const Tensor sums =
      out.dtype() == sums_dtype ? out : Tensor::empty(call.context.pool(), sums_dtype, out.shape());
  fill_elements(stream_of(call), sums, 0);
  if (source.elements() > 0) {
    visit_floating(source.dtype(), [&](auto type) {
      visit_index(call.in[0].dtype(), [&](auto index_type) {
        using M = typename decltype(type)::Type;
        using I = typename decltype(index_type)::Type;
        scatter_add_kernel<<<blocks_of(lines), kThreads, 0, stream_of(call)>>>(
            memory_of<const I>(call.in[0]), memory_of<const M>(source), memory_of<Compute<M>>(sums),
            source.shape()[call.attributes.axis], to.extent, to.inner, lines);
      });
    });
    ATOLL_CUDA(cudaGetLastError());
  }
  convert_elements(stream_of(call), sums, out);
}

}  // namespace reef::ops::cuda
