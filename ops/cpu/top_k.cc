#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/cpu/isa/reduction.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/layout.h"
#include "ops/cpu/tiles.h"
#include "ops/tensor/convert.h"

namespace reef::ops::cpu {

namespace {

struct Candidate {
  double value;
  std::int32_t place;
};

/// The order of the result: the greatest first, NaN before all numbers, of equals the lower place.
bool stands_before(const Candidate& a, const Candidate& b) {
  const bool a_is_nan = a.value != a.value;
  const bool b_is_nan = b.value != b.value;
  if (a_is_nan != b_is_nan) return a_is_nan;
  if (a.value != b.value && !a_is_nan) return a.value > b.value;
  return a.place < b.place;
}

/// One row's `count` candidates, in order. The vector loop skips what is not greater than the last
/// of those seen so far, which is nearly everything: a row of n random numbers has about
/// count ln(n / count) that are.
void find_greatest(const Tensor& x, Index row, Index count, std::vector<Candidate>& heap) {
  const Index columns = x.shape().back();
  const Index start = row * columns;
  const std::byte* values = x.raw() + start * static_cast<Index>(size_of(x.dtype()));
  const auto candidate = [&](Index place) -> Candidate {
    return {element_as_double(x.dtype(), values, place), static_cast<std::int32_t>(place)};
  };
  heap.clear();
  for (Index place = 0; place < count; ++place) heap.push_back(candidate(place));
  std::make_heap(heap.begin(), heap.end(), stands_before);
  const auto next = [&](Index from) {
    return reduction_kernels().first_above(element_of(x.dtype()), values, from, columns,
                                           heap.front().value);
  };
  for (Index place = next(count); place < columns; place = next(place + 1)) {
    std::pop_heap(heap.begin(), heap.end(), stands_before);
    heap.back() = candidate(place);
    std::push_heap(heap.begin(), heap.end(), stands_before);
  }
  std::sort_heap(heap.begin(), heap.end(), stands_before);
}

}  // namespace

void top_k(const Call& call) {
  const Tensor& x = call.in[0];
  const auto size = static_cast<Index>(size_of(x.dtype()));
  const Index columns = x.shape().back();
  const Index count = call.attributes.rows;
  std::byte* values = call.out[0].raw();
  std::int32_t* places = call.out[1].data<std::int32_t>();
  for_tiles(call.context, x.shape().rows(), rows_a_tile(columns), [&](Index first, Index rows) {
    thread_local std::vector<Candidate> heap;  // keeps its room
    for (Index row = first; row < first + rows; ++row) {
      find_greatest(x, row, count, heap);
      for (Index i = 0; i < count; ++i) {
        const Index place = heap[static_cast<std::size_t>(i)].place;
        const Index at = row * count + i;
        std::memcpy(values + at * size, x.raw() + (row * columns + place) * size,
                    static_cast<std::size_t>(size));
        places[at] = static_cast<std::int32_t>(place);
      }
    }
  });
}

}  // namespace reef::ops::cpu
