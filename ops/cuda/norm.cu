// Layer norm and RMS norm, a block a row.

#include "ops/cuda/block.cuh"
#include "ops/cuda/columns.cuh"
#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"

namespace reef::ops::cuda {

namespace {

// --- kernels; M is the activations' memory, W the weights', V what both are computed in ---

template <typename Body>
__device__ void for_columns(Index columns, const Body& body) {
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) body(j);
}

/// Mean, then squared distances from it: the one-pass formula cancels for a large mean.
template <typename M, typename W, typename V>
__device__ void normalize_row(const M* x, const W* weight, const W* bias, M* y, V* statistics,
                              Index columns, V epsilon) {
  V sum = 0;
  for_columns(columns, [&](Index j) { sum += value_of(x[j]); });
  const V mean = block_reduce(sum, Plus{}) / static_cast<V>(columns);
  V square = 0;
  for_columns(columns, [&](Index j) {
    const V d = value_of(x[j]) - mean;
    square += d * d;
  });
  const V variance = block_reduce(square, Plus{}) / static_cast<V>(columns);
  const V inverse = V(1) / primitive::sqrt(variance + epsilon);
  for_columns(columns, [&](Index j) {
    y[j] = rounded<M>((value_of(x[j]) - mean) * inverse * value_of(weight[j]) + value_of(bias[j]));
  });
  if (threadIdx.x == 0) {
    statistics[0] = mean;
    statistics[1] = inverse;
  }
}

template <typename M, typename W, typename V>
__global__ void layer_norm_kernel(const M* x,                      // (rows, columns)
                                  const W* weight, const W* bias,  // (columns)
                                  M* y,                            // (rows, columns)
                                  V* statistics,                   // (rows, 2)
                                  Index columns, V epsilon) {
  const Index row = blockIdx.x;
  normalize_row(x + row * columns, weight, bias, y + row * columns, statistics + 2 * row, columns,
                epsilon);
}

template <typename M, typename W, typename V>
__global__ void add_layer_norm_kernel(const M* a, const M* b,          // (rows, columns)
                                      const W* weight, const W* bias,  // (columns)
                                      M* y, M* sum,                    // (rows, columns)
                                      V* statistics,                   // (rows, 2)
                                      Index columns, V epsilon) {
  const Index row = blockIdx.x;
  M* x = sum + row * columns;
  // Each thread reads later only what it wrote itself.
  for_columns(columns, [&](Index j) {
    x[j] = rounded<M>(value_of(a[row * columns + j]) + value_of(b[row * columns + j]));
  });
  normalize_row(x, weight, bias, y + row * columns, statistics + 2 * row, columns, epsilon);
}

template <typename M, typename W, typename V>
__global__ void layer_norm_grad_kernel(const M* x,           // (rows, columns)
                                       const W* weight,      // (columns)
                                       const V* statistics,  // (rows, 2)
                                       const M* grad,        // (rows, columns)
                                       const M* sum_grad,    // (rows, columns) or null
                                       M* x_grad,            // (rows, columns)
                                       Index columns) {
  const Index row = blockIdx.x;
  const Index start = row * columns;
  const V mean = statistics[2 * row];
  const V inverse = statistics[2 * row + 1];
  V sum = 0;
  V sum_normal = 0;
  for_columns(columns, [&](Index j) {
    const V g = value_of(grad[start + j]) * value_of(weight[j]);
    sum += g;
    sum_normal += g * ((value_of(x[start + j]) - mean) * inverse);
  });
  sum = block_reduce(sum, Plus{}) / static_cast<V>(columns);
  sum_normal = block_reduce(sum_normal, Plus{}) / static_cast<V>(columns);
  for_columns(columns, [&](Index j) {
    const V normal = (value_of(x[start + j]) - mean) * inverse;
    const V g = value_of(grad[start + j]) * value_of(weight[j]);
    V slope = inverse * (g - (sum + normal * sum_normal));
    if (sum_grad != nullptr) slope += value_of(sum_grad[start + j]);
    x_grad[start + j] = rounded<M>(slope);
  });
}

template <typename M, typename W, typename V>
__global__ void rms_norm_kernel(const M* x,       // (rows, columns)
                                const W* weight,  // (columns)
                                M* y,             // (rows, columns)
                                V* inverses,      // (rows)
                                Index columns, V epsilon) {
  const Index start = blockIdx.x * columns;
  V square = 0;
  for_columns(columns, [&](Index j) {
    const V value = value_of(x[start + j]);
    square += value * value;
  });
  const V mean = block_reduce(square, Plus{}) / static_cast<V>(columns);
  const V inverse = V(1) / primitive::sqrt(mean + epsilon);
  for_columns(columns, [&](Index j) {
    y[start + j] = rounded<M>(value_of(x[start + j]) * inverse * value_of(weight[j]));
  });
  if (threadIdx.x == 0) inverses[blockIdx.x] = inverse;
}

template <typename M, typename W, typename V>
__global__ void rms_norm_grad_kernel(const M* x,         // (rows, columns)
                                     const W* weight,    // (columns)
                                     const V* inverses,  // (rows)
                                     const M* grad,      // (rows, columns)
                                     M* x_grad,          // (rows, columns)
                                     Index columns) {
  const Index start = blockIdx.x * columns;
  const V inverse = inverses[blockIdx.x];
  V sum = 0;
  for_columns(columns, [&](Index j) {
    sum += value_of(grad[start + j]) * value_of(weight[j]) * value_of(x[start + j]);
  });
  const V mean = block_reduce(sum, Plus{}) / static_cast<V>(columns) * inverse * inverse;
  for_columns(columns, [&](Index j) {
    const V g = value_of(grad[start + j]) * value_of(weight[j]);
    x_grad[start + j] = rounded<M>(inverse * (g - value_of(x[start + j]) * mean));
  });
}

/// Of column_tile_kernel: gradients of weight and bias.
template <typename M, typename V>
struct LayerNormColumns {
  const M* x;           // (rows, columns)
  const V* statistics;  // (rows, 2)
  const M* grad;        // (rows, columns)
  Index columns;
  __device__ void operator()(Index row, Index column, V (&values)[2]) const {
    const V g = value_of(grad[row * columns + column]);
    const V d = value_of(x[row * columns + column]) - statistics[2 * row];
    values[0] = g * (d * statistics[2 * row + 1]);
    values[1] = g;
  }
};

template <typename M, typename V>
struct RmsNormColumns {
  const M* x;         // (rows, columns)
  const V* inverses;  // (rows)
  const M* grad;      // (rows, columns)
  Index columns;
  __device__ void operator()(Index row, Index column, V (&values)[1]) const {
    values[0] = value_of(grad[row * columns + column]) *
                (value_of(x[row * columns + column]) * inverses[row]);
  }
};

// --- launchers ---

/// visit(TypeIs<M>, TypeIs<W>): weights are as the activations or f32.
template <typename Visit>
void visit_norm(const Tensor& x, const Tensor& weight, Visit visit) {
  visit_floating(x.dtype(), [&](auto type) {
    if (weight.dtype() == x.dtype()) return visit(type, type);
    CHECK(weight.dtype() == DType::kF32) << "weights of " << name_of(weight.dtype());
    visit(type, TypeIs<float>{});
  });
}

/// Calls launch(grid, block, M, W) unless there are no rows.
template <typename Launch>
void for_rows(const Tensor& x, const Tensor& weight, Launch launch) {
  const Index rows = x.shape().rows();
  if (rows == 0) return;
  visit_norm(x, weight, [&](auto type, auto weight_type) {
    launch(one_block_each(rows), row_threads(x.shape().back()), type, weight_type);
  });
  ATOLL_CUDA(cudaGetLastError());
}

/// Gradients of weights: what `Columns` makes of each row of (x, .., statistics, gradient), summed.
template <template <typename, typename> typename Columns, int kSums>
void weight_grads(const Call& call, const Tensor* const (&out)[kSums]) {
  const Tensor& x = call.in[0];
  const Index columns = x.shape().back();
  visit_floating(x.dtype(), [&](auto type) {
    using M = typename decltype(type)::Type;
    using V = Compute<M>;
    const Columns<M, V> source{memory_of<M>(x), memory_of<V>(call.in[2]), memory_of<M>(call.in[3]),
                               columns};
    sum_columns<kSums, V>(call, source, x.shape().rows(), columns, out);
  });
}

}  // namespace

void layer_norm(const Call& call) {
  const Tensor& x = call.in[0];
  for_rows(x, call.in[1], [&](unsigned grid, unsigned block, auto type, auto weight_type) {
    using M = typename decltype(type)::Type;
    using W = typename decltype(weight_type)::Type;
    using V = Compute<M>;
    layer_norm_kernel<M, W, V><<<grid, block, 0, stream_of(call)>>>(
        memory_of<M>(x), memory_of<W>(call.in[1]), memory_of<W>(call.in[2]),
        memory_of<M>(call.out[0]), memory_of<V>(call.out[1]), x.shape().back(),
        static_cast<V>(call.attributes.epsilon));
  });
}

void add_layer_norm(const Call& call) {
  const Tensor& a = call.in[0];
  for_rows(a, call.in[2], [&](unsigned grid, unsigned block, auto type, auto weight_type) {
    using M = typename decltype(type)::Type;
    using W = typename decltype(weight_type)::Type;
    using V = Compute<M>;
    add_layer_norm_kernel<M, W, V><<<grid, block, 0, stream_of(call)>>>(
        memory_of<M>(a), memory_of<M>(call.in[1]), memory_of<W>(call.in[2]),
        memory_of<W>(call.in[3]), memory_of<M>(call.out[0]), memory_of<M>(call.out[1]),
        memory_of<V>(call.out[2]), a.shape().back(), static_cast<V>(call.attributes.epsilon));
  });
}

void layer_norm_grad(const Call& call) {
  const Tensor& x = call.in[0];
  const Index columns = x.shape().back();
  for_rows(x, call.in[1], [&](unsigned grid, unsigned block, auto type, auto weight_type) {
    using M = typename decltype(type)::Type;
    using W = typename decltype(weight_type)::Type;
    using V = Compute<M>;
    const M* sum_grad = call.in.size() > 4 ? memory_of<M>(call.in[4]) : nullptr;
    layer_norm_grad_kernel<M, W, V><<<grid, block, 0, stream_of(call)>>>(
        memory_of<M>(x), memory_of<W>(call.in[1]), memory_of<V>(call.in[2]),
        memory_of<M>(call.in[3]), sum_grad, memory_of<M>(call.out[0]), columns);
  });
  weight_grads<LayerNormColumns, 2>(call, {&call.out[1], &call.out[2]});
}

void rms_norm(const Call& call) {
  const Tensor& x = call.in[0];
  for_rows(x, call.in[1], [&](unsigned grid, unsigned block, auto type, auto weight_type) {
    using M = typename decltype(type)::Type;
    using W = typename decltype(weight_type)::Type;
    using V = Compute<M>;
    rms_norm_kernel<M, W, V><<<grid, block, 0, stream_of(call)>>>(
        memory_of<M>(x), memory_of<W>(call.in[1]), memory_of<M>(call.out[0]),
        memory_of<V>(call.out[1]), x.shape().back(), static_cast<V>(call.attributes.epsilon));
  });
}

void rms_norm_grad(const Call& call) {
  const Tensor& x = call.in[0];
  const Index columns = x.shape().back();
  for_rows(x, call.in[1], [&](unsigned grid, unsigned block, auto type, auto weight_type) {
    using M = typename decltype(type)::Type;
    using W = typename decltype(weight_type)::Type;
    using V = Compute<M>;
    rms_norm_grad_kernel<M, W, V><<<grid, block, 0, stream_of(call)>>>(
        memory_of<M>(x), memory_of<W>(call.in[1]), memory_of<V>(call.in[2]),
        memory_of<M>(call.in[3]), memory_of<M>(call.out[0]), columns);
  });
  weight_grads<RmsNormColumns, 1>(call, {&call.out[1]});
}

}  // namespace reef::ops::cuda
