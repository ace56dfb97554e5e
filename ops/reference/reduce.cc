#include <algorithm>
#include <limits>
#include <vector>

#include "ops/reference/kernels.h"
#include "ops/reference/types.h"
#include "ops/reference/walk.h"

namespace reef::ops::reference {

namespace {

/// Folds every element of x into the element of `out` (extents 1 where reduced) that it belongs to.
template <typename T, typename Fold>
void reduce(const Tensor& x, const Tensor& out, Wide<T> start, const Fold& fold) {
  const std::size_t rank = x.shape().rank();
  const Strides steps = row_major_strides(out.shape());
  std::vector<Wide<T>> folded(static_cast<std::size_t>(out.elements()), start);
  const auto place_in_result = [&](const Place& place) {
    std::int64_t at = 0;
    for (std::size_t axis = 0; axis < rank; ++axis) {
      if (out.shape()[axis] != 1) at += place[axis] * steps[axis];
    }
    return static_cast<std::size_t>(at);
  };
  for_places(x.shape(), [&](const Place& place) {
    Wide<T>& sum = folded[place_in_result(place)];
    sum = fold(sum, static_cast<Wide<T>>(x.data<T>()[offset_of(x, place, rank)]));
  });
  for_places(out.shape(), [&](const Place& place) {
    out.data<T>()[offset_of(out, place, rank)] = static_cast<T>(folded[place_in_result(place)]);
  });
}

template <typename T>
void cum_sum_along(const Tensor& x, std::size_t axis, bool reverse, const Tensor& out) {
  const std::size_t rank = x.shape().rank();
  const std::int64_t extent = x.shape()[axis];
  for_places(x.shape().with(axis, 1), [&](Place place) {
    Wide<T> sum = 0;
    for (std::int64_t i = 0; i < extent; ++i) {
      place[axis] = reverse ? extent - 1 - i : i;
      sum += x.data<T>()[offset_of(x, place, rank)];
      out.data<T>()[offset_of(out, place, rank)] = static_cast<T>(sum);
    }
  });
}

}  // namespace

void sum(const Call& call) {
  with_number(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    reduce<T>(call.in[0], call.out[0], 0, [](Wide<T> a, Wide<T> b) { return a + b; });
  });
}

void max(const Call& call) {
  with_number(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    using Limits = std::numeric_limits<Wide<T>>;
    const Wide<T> least = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    // A NaN is unequal to itself and stays.
    reduce<T>(call.in[0], call.out[0], least,
              [](Wide<T> a, Wide<T> b) { return a > b || a != a ? a : b; });
  });
}

void square_sum(const Call& call) {
  double* sums = call.out[0].data<double>();
  std::fill_n(sums, call.out[0].shape().front(), 0.0);
  with_real(call.in[0].dtype(), [&](auto zero) {
    for (std::int64_t i = 0; i < call.in[0].elements(); ++i) {
      const double value = call.in[0].data<decltype(zero)>()[i];
      sums[i / kSquareSumBlock] += value * value;
    }
  });
}

void cum_sum(const Call& call) {
  with_number(call.in[0].dtype(), [&](auto zero) {
    cum_sum_along<decltype(zero)>(call.in[0], call.attributes.axis, call.attributes.reverse,
                                  call.out[0]);
  });
}

}  // namespace reef::ops::reference
