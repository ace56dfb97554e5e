#pragma once
// Images and windows on them, for convolution and pooling.

#include "ops/catalog/attributes.h"
#include "ops/cuda/element.cuh"

namespace reef::ops::cuda {

/// Four axes anywhere in memory: (N, C, H, W), or (O, I, kh, kw).
template <typename M>
struct Image {
  M* data;
  Index strides[4];
  __device__ M& at(Index a, Index b, Index c, Index d) const {
    return data[a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3]];
  }
};

template <typename M>
Image<M> image_of(const Tensor& tensor) {
  return {memory_of<M>(tensor),
          {tensor.stride(0), tensor.stride(1), tensor.stride(2), tensor.stride(3)}};
}

/// One side of a window that walks over an image.
struct Side {
  int extent;  ///< of the image
  int size;    ///< of the window
  int places;  ///< of the result
  int stride, padding, dilation;

  /// Where tap `tap` of the window at `place` reads; padding lies outside of [0, extent).
  __device__ int read(int place, int tap) const {
    return place * stride - padding + tap * dilation;
  }
  __device__ bool is_inside(int at) const { return at >= 0 && at < extent; }
  /// The place at which tap `tap` reads `at`, or -1.
  __device__ int place_of(int at, int tap) const {
    const int offset = at + padding - tap * dilation;
    if (offset < 0 || offset % stride != 0) return -1;
    const int place = offset / stride;
    return place < places ? place : -1;
  }
  /// Taps of the window at `place` that read no padding.
  __device__ int taps(int place) const {
    int count = 0;
    for (int tap = 0; tap < size; ++tap) count += is_inside(read(place, tap));
    return count;
  }
};

inline int small(std::int64_t extent) {
  CHECK_LE(extent, kGridLimit);
  return static_cast<int>(extent);
}

/// `side`: 0 height, 1 width.
inline Side side_of(const Window& window, std::size_t side, std::int64_t extent, std::int64_t size,
                    std::int64_t places) {
  return {small(extent),
          small(size),
          small(places),
          small(window.stride[side]),
          small(window.padding[side]),
          small(window.dilation[side])};
}

}  // namespace reef::ops::cuda
