// Adafactor (Shazeer and Stern 2018, arXiv 1804.04235): of a matrix only sums over rows and over
// columns of the squared gradient are kept, and their outer product estimates each element's.

#include <algorithm>
#include <cmath>

#include "ops/cuda/block.cuh"
#include "ops/cuda/columns.cuh"
#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"

namespace reef::ops::cuda {

namespace {

constexpr Index kSquareBlock = 4096;  ///< elements of one partial sum of squared steps

/// One parameter, T its master's type and G its gradient's. rows x columns; a vector is one row and
/// has every moment in `first`.
template <typename T, typename G>
struct Parameter {
  const G* gradient;  // (rows, columns)
  T* master;          // (rows, columns)
  T* first;           // (rows), or (columns) of a vector
  T* second;          // (columns), or nothing
  Index rows, columns;
  bool is_matrix;
  T grad_scale, epsilon, beta2, lr, keep;  // keep: 1 - lr decay

  __device__ T scaled(Index i) const { return static_cast<T>(value_of(gradient[i])) * grad_scale; }
  __device__ T square(Index i) const { return scaled(i) * scaled(i) + epsilon; }
  __device__ T moved(T state, T now) const { return beta2 * state + (1 - beta2) * now; }
  /// gradient / sqrt(second moment); `total` is the sum of a matrix's row states.
  __device__ T step(Index i, const T* total) const {
    const T moment = is_matrix ? first[i / columns] * second[i % columns] / *total : first[i];
    return scaled(i) / primitive::sqrt(moment);
  }
};

// --- kernels ---

template <typename T, typename G>
__global__ void row_states_kernel(Parameter<T, G> p) {
  const Index start = blockIdx.x * p.columns;
  T sum = 0;
  for (Index j = threadIdx.x; j < p.columns; j += blockDim.x) sum += p.square(start + j);
  sum = block_reduce(sum, Plus{});
  if (threadIdx.x == 0) p.first[blockIdx.x] = p.moved(p.first[blockIdx.x], sum);
}

/// Of a matrix, given the new sums; of a vector, from its own squares.
template <typename T, typename G>
__global__ void column_states_kernel(Parameter<T, G> p, const T* sums) {  // (columns)
  const Index j = Index{blockIdx.x} * blockDim.x + threadIdx.x;
  if (j >= p.columns) return;
  if (p.is_matrix) {
    p.second[j] = p.moved(p.second[j], sums[j]);
  } else {
    p.first[j] = p.moved(p.first[j], p.square(j));
  }
}

template <typename T>
__global__ void total_kernel(const T* values, Index count, T* total) {
  T sum = 0;
  for (Index i = threadIdx.x; i < count; i += blockDim.x) sum += values[i];
  sum = block_reduce(sum, Plus{});
  if (threadIdx.x == 0) *total = sum;
}

template <typename T, typename G>
__global__ void square_steps_kernel(Parameter<T, G> p, const T* total, T* squares) {  // (blocks)
  const Index first = blockIdx.x * kSquareBlock;
  const Index count = p.rows * p.columns;
  const Index last = first + kSquareBlock < count ? first + kSquareBlock : count;
  T sum = 0;
  for (Index i = first + threadIdx.x; i < last; i += blockDim.x) {
    const T step = p.step(i, total);
    sum += step * step;
  }
  sum = block_reduce(sum, Plus{});
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

/// Steps are clipped to root mean square 1; `copy` receives the new master.
template <typename T, typename G, typename C>
__global__ void step_kernel(Parameter<T, G> p, const T* total, const T* square_sum, C* copy) {
  const Index count = p.rows * p.columns;
  const T root = primitive::sqrt(*square_sum / static_cast<T>(count));
  const T factor = p.lr / (root > 1 ? root : T(1));
  const Index step = Index{gridDim.x} * blockDim.x;
  for (Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const T master = p.master[i] * p.keep - factor * p.step(i, total);
    p.master[i] = master;
    if (copy != nullptr) copy[i] = rounded<C>(static_cast<Compute<C>>(master));
  }
}

/// Of column_tile_kernel.
template <typename T, typename G>
struct Squares {
  Parameter<T, G> p;
  __device__ void operator()(Index row, Index column, T (&values)[1]) const {
    values[0] = p.square(row * p.columns + column);
  }
};

// --- launchers ---

template <typename T, typename G>
void update_states(const Call& call, const Parameter<T, G>& p, T* total) {
  const cudaStream_t stream = stream_of(call);
  const auto blocks = static_cast<unsigned>(ceil_div(p.columns, kThreads));
  if (!p.is_matrix) {
    column_states_kernel<<<blocks, kThreads, 0, stream>>>(p, static_cast<const T*>(nullptr));
    ATOLL_CUDA(cudaGetLastError());
    return;
  }
  row_states_kernel<<<one_block_each(p.rows), row_threads(p.columns), 0, stream>>>(p);
  const Temporary<T> sums = add_tiles<1, T>(call, Squares<T, G>{p}, p.rows, p.columns);
  column_states_kernel<<<blocks, kThreads, 0, stream>>>(p, sums.data());
  total_kernel<<<1, kThreads, 0, stream>>>(p.first, p.rows, total);
  ATOLL_CUDA(cudaGetLastError());
}

template <typename T, typename G, typename C>
void update_parameter(const Call& call, const Parameter<T, G>& p, C* copy) {
  const cudaStream_t stream = stream_of(call);
  const Index count = p.rows * p.columns;
  const Index blocks = ceil_div(count, kSquareBlock);
  const Temporary<T> squares(call.context, blocks);
  const Temporary<T> sums(call.context, 2);  // of the row states, of the squared steps
  update_states(call, p, sums.data());
  square_steps_kernel<<<one_block_each(blocks), kThreads, 0, stream>>>(p, sums.data(),
                                                                       squares.data());
  total_kernel<<<1, kThreads, 0, stream>>>(squares.data(), blocks, sums.data() + 1);
  step_kernel<<<blocks_for(count), kThreads, 0, stream>>>(p, sums.data(), sums.data() + 1, copy);
  ATOLL_CUDA(cudaGetLastError());
}

template <typename T, typename G>
Parameter<T, G> parameter_of(const Call& call, std::size_t i) {
  const Update& f = call.attributes.update;
  const std::size_t count = call.in.size();
  const Shape& shape = call.in[i].shape();
  const bool is_matrix = shape.rank() >= 2;
  const double decay = f.decays(i) ? static_cast<double>(f.lr) * f.weight_decay : 0;
  return {memory_of<const G>(call.in[i]),
          memory_of<T>(call.out[i]),
          memory_of<T>(call.out[count + i]),
          memory_of<T>(call.out[2 * count + i]),
          is_matrix ? shape.rows() : 1,
          is_matrix ? shape.back() : shape.elements(),
          is_matrix,
          static_cast<T>(f.grad_scale),
          static_cast<T>(f.epsilon),
          static_cast<T>(1 - std::pow(static_cast<double>(f.step), -0.8)),
          static_cast<T>(f.lr),
          static_cast<T>(1 - decay)};
}

}  // namespace

void adafactor(const Call& call) {
  const std::size_t count = call.in.size();
  const bool publishes = call.out.size() == 4 * count;
  for (std::size_t i = 0; i < count; ++i) {
    if (call.in[i].elements() == 0) continue;
    const Tensor& copy = publishes ? call.out[3 * count + i] : call.out[i];
    visit_floating(call.in[i].dtype(), [&](auto grad_type) {
      visit_floating(copy.dtype(), [&](auto copy_type) {
        using G = typename decltype(grad_type)::Type;
        using C = typename decltype(copy_type)::Type;
        C* to = publishes ? memory_of<C>(copy) : nullptr;
        if (call.out[i].dtype() == DType::kF64) {
          return update_parameter(call, parameter_of<double, G>(call, i), to);
        }
        update_parameter(call, parameter_of<float, G>(call, i), to);
      });
    });
  }
}

}  // namespace reef::ops::cuda
