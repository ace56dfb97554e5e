#pragma once
// Moving elements on a GPU, for kernels that need it on the way.

#include "ops/cuda/context.h"
#include "ops/tensor/tensor.h"

namespace reef::ops::cuda {

/// to = from; any strides, shapes alike, one dtype.
void copy_elements(cudaStream_t stream, const Tensor& from, const Tensor& to);
/// to = from, with the conversion of ops/tensor/convert.h.
void convert_elements(cudaStream_t stream, const Tensor& from, const Tensor& to);
/// Every element = value.
void fill_elements(cudaStream_t stream, const Tensor& to, double value);
/// `tensor` when it is row major, else a copy that is.
Tensor row_major(const Call& call, const Tensor& tensor);

}  // namespace reef::ops::cuda
