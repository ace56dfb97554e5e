// Compiled once per instruction set with ATOLL_ISA naming it; see ops/primitive/target.h.

#include "ops/cpu/isa/pool.h"

#include "ops/primitive/folds.h"
#include "ops/primitive/runs.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;

/// Columns of a pooled row at once.
constexpr Index kChunk = 256;

constexpr Index least(Index a, Index b) { return a < b ? a : b; }
constexpr Index most(Index a, Index b) { return a < b ? b : a; }
constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

template <typename T>
void load_row(const Plane& plane, Index row, Index column, Index step, Index count, T* to) {
  const Index at = row * plane.row_step + column * plane.column_step;
  load_elements(plane.element, element_at(plane.element, plane.data, at), step * plane.column_step,
                count, to);
}
template <typename T>
void store_row(const T* from, const Plane& plane, Index row, Index column, Index count) {
  const Index at = row * plane.row_step + column * plane.column_step;
  store_elements(plane.element, from, plane.column_step, count,
                 element_at(plane.element, plane.data, at));
}

/// Calls body(row, column, count) for the chunks of the rows of a plane.
template <typename Body>
void over_chunks(const Plane& plane, Body body) {
  for (Index row = 0; row < plane.height; ++row) {
    for (Index column = 0; column < plane.width; column += kChunk) {
      body(row, column, least(kChunk, plane.width - column));
    }
  }
}

/// Calls body(from, first, count) for each tap along the width that reads anything for the places
/// [column, column + columns): places column + first .. read from .., a stride apart.
template <typename Body>
void over_column_taps(const PoolWindow& window, Index width, Index column, Index columns,
                      Body body) {
  const Index stride = window.stride[1];
  for (Index tap = 0; tap < window.size[1]; ++tap) {
    const Index offset = tap * window.dilation[1] - window.padding[1];
    const Index begin = most(column, offset < 0 ? ceil_div(-offset, stride) : 0);
    const Index end =
        least(column + columns, offset < width ? ceil_div(width - offset, stride) : 0);
    if (begin < end) body(begin * stride + offset, begin - column, end - begin);
  }
}

/// Calls body(from) for each row that the window at `row` reads.
template <typename Body>
void over_row_taps(const PoolWindow& window, Index height, Index row, Body body) {
  for (Index tap = 0; tap < window.size[0]; ++tap) {
    const Index from = row * window.stride[0] - window.padding[0] + tap * window.dilation[0];
    if (from >= 0 && from < height) body(from);
  }
}

/// How many taps of each window are there.
template <typename T>
void count_taps(const PoolWindow& window, const Plane& x, Index row, Index column, Index columns,
                T* counts) {
  T rows = 0;
  over_row_taps(window, x.height, row, [&rows](Index) { rows += 1; });
  for (Index k = 0; k < columns; ++k) counts[k] = 0;
  over_column_taps(window, x.width, column, columns, [&](Index, Index first, Index count) {
    for (Index k = first; k < first + count; ++k) counts[k] += rows;
  });
}

template <typename T>
void maximum_as(const PoolWindow& window, const Plane& x, const Plane& y, const Plane& places) {
  over_chunks(y, [&](Index row, Index column, Index columns) {
    T best[kChunk] = {};
    std::int32_t place[kChunk];
    for (Index k = 0; k < columns; ++k) place[k] = -1;
    over_row_taps(window, x.height, row, [&](Index from_row) {
      over_column_taps(window, x.width, column, columns, [&](Index from, Index first, Index count) {
        T values[kChunk];
        load_row(x, from_row, from, window.stride[1], count, values);
        T* best_here = best + first;
        std::int32_t* place_here = place + first;
        const auto start = static_cast<std::int32_t>(from_row * x.width + from);
        const auto stride = static_cast<std::int32_t>(window.stride[1]);
        for (std::int32_t k = 0; k < count; ++k) {
          const bool better = (place_here[k] < 0) | exceeds(values[k], best_here[k]);
          best_here[k] = better ? values[k] : best_here[k];
          place_here[k] = better ? start + k * stride : place_here[k];
        }
      });
    });
    store_row(best, y, row, column, columns);
    store_row(place, places, row, column, columns);
  });
}

template <typename T>
void mean_as(const PoolWindow& window, const Plane& x, const Plane& y) {
  over_chunks(y, [&](Index row, Index column, Index columns) {
    T sums[kChunk] = {};
    over_row_taps(window, x.height, row, [&](Index from_row) {
      over_column_taps(window, x.width, column, columns, [&](Index from, Index first, Index count) {
        T values[kChunk];
        load_row(x, from_row, from, window.stride[1], count, values);
        for (Index k = 0; k < count; ++k) sums[first + k] += values[k];
      });
    });
    T counts[kChunk];
    count_taps(window, x, row, column, columns, counts);
    for (Index k = 0; k < columns; ++k) sums[k] /= counts[k];
    store_row(sums, y, row, column, columns);
  });
}

template <typename T>
void clear(const Plane& plane, T* sums) {
  for (Index i = 0; i < plane.height * plane.width; ++i) sums[i] = 0;
}
template <typename T>
void store_plane(const T* sums, const Plane& plane) {
  for (Index row = 0; row < plane.height; ++row) {
    store_row(sums + row * plane.width, plane, row, 0, plane.width);
  }
}

template <typename T>
bool maximum_grad_as(const Plane& places, const Plane& grad, const Plane& x_grad, T* sums) {
  const Index elements = x_grad.height * x_grad.width;
  bool inside = true;
  clear(x_grad, sums);
  over_chunks(grad, [&](Index row, Index column, Index columns) {
    T values[kChunk];
    std::int32_t place[kChunk];
    load_row(grad, row, column, 1, columns, values);
    load_row(places, row, column, 1, columns, place);
    for (Index k = 0; k < columns; ++k) {
      inside = inside && place[k] >= 0 && place[k] < elements;
      if (inside) sums[place[k]] += values[k];
    }
  });
  if (inside) store_plane(sums, x_grad);
  return inside;
}

template <typename T>
void mean_grad_as(const PoolWindow& window, const Plane& grad, const Plane& x_grad, T* sums) {
  clear(x_grad, sums);
  over_chunks(grad, [&](Index row, Index column, Index columns) {
    T values[kChunk];
    T counts[kChunk];
    load_row(grad, row, column, 1, columns, values);
    count_taps(window, x_grad, row, column, columns, counts);
    for (Index k = 0; k < columns; ++k) values[k] /= counts[k];
    over_row_taps(window, x_grad.height, row, [&](Index to_row) {
      over_column_taps(window, x_grad.width, column, columns,
                       [&](Index to, Index first, Index count) {
                         T* at = sums + to_row * x_grad.width + to;
                         for (Index k = 0; k < count; ++k) {
                           at[k * window.stride[1]] += values[first + k];
                         }
                       });
    });
  });
  store_plane(sums, x_grad);
}

/// body(T()) for the type T in which elements are computed.
template <typename Body>
auto by_type(Element element, Body body) {
  return element == Element::kF64 ? body(double()) : body(float());
}

void maximum(const PoolWindow& window, const Plane& x, const Plane& y, const Plane& places) {
  by_type(x.element, [&](auto zero) { maximum_as<decltype(zero)>(window, x, y, places); });
}
bool maximum_grad(const Plane& places, const Plane& grad, const Plane& x_grad, void* sums) {
  return by_type(grad.element, [&](auto zero) {
    return maximum_grad_as(places, grad, x_grad, static_cast<decltype(zero)*>(sums));
  });
}
void mean(const PoolWindow& window, const Plane& x, const Plane& y) {
  by_type(x.element, [&](auto zero) { mean_as<decltype(zero)>(window, x, y); });
}
void mean_grad(const PoolWindow& window, const Plane& grad, const Plane& x_grad, void* sums) {
  by_type(grad.element, [&](auto zero) {
    mean_grad_as(window, grad, x_grad, static_cast<decltype(zero)*>(sums));
  });
}

}  // namespace

extern const PoolKernels kPoolKernels;
const PoolKernels kPoolKernels = {maximum, maximum_grad, mean, mean_grad};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
