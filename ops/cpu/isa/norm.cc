// Compiled once per instruction set with ATOLL_ISA naming it; see ops/primitive/target.h.

#include "ops/cpu/isa/norm.h"

#include "ops/primitive/functors.h"
#include "ops/primitive/rows.h"
#include "ops/primitive/runs.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;

/// Columns of a weight's gradient that are summed side by side.
constexpr Index kSideBySide = 4 * kLanes;

struct Statistics {
  float mean;
  float inverse;
};

template <bool kCentred>
ATOLL_PRIMITIVE Statistics statistics_of(const float* statistics, Index row) {
  if constexpr (kCentred) {
    return {statistics[2 * row], statistics[2 * row + 1]};
  } else {
    return {0, statistics[row]};
  }
}

/// (x - mean) / deviation.
template <bool kCentred>
ATOLL_PRIMITIVE Floats normal_of(const Floats& x, const Statistics& s) {
  if constexpr (kCentred) {
    return (x - s.mean) * s.inverse;
  } else {
    return x * s.inverse;
  }
}

template <bool kCentred, typename M>
ATOLL_PRIMITIVE Statistics measure(Index columns, const M* x, float epsilon) {
  const auto n = static_cast<float>(columns);
  float mean = 0;
  if constexpr (kCentred) mean = sum_row(columns, Copy{}, x) / n;
  const auto square = [mean](Floats v) __attribute__((always_inline)) {
    if constexpr (kCentred) v = v - mean;
    return v * v;
  };
  const float variance = sum_row(columns, square, x) / n;
  return {mean, 1.0f / __builtin_sqrtf(variance + epsilon)};
}

template <typename M, typename W, bool kCentred>
void norm_rows(const Norm& op, Index first, Index count) {
  const W* weight = static_cast<const W*>(op.weight);
  const W* bias = static_cast<const W*>(op.bias);
  for (Index row = first; row < first + count; ++row) {
    const Index at = row * op.columns;
    const M* x = static_cast<const M*>(op.x) + at;
    M* y = static_cast<M*>(op.y) + at;
    if (op.addend != nullptr) {
      M* sum = static_cast<M*>(op.sum) + at;
      map_row(op.columns, sum, Add{}, x, static_cast<const M*>(op.addend) + at);
      x = sum;
    }
    const Statistics s = measure<kCentred>(op.columns, x, op.epsilon);
    if constexpr (kCentred) {
      map_row(
          op.columns, y,
          [&s](const Floats& v, const Floats& w, const Floats& b)
              __attribute__((always_inline)) { return normal_of<kCentred>(v, s) * w + b; },
          x, weight, bias);
      op.statistics[2 * row] = s.mean;
      op.statistics[2 * row + 1] = s.inverse;
    } else {
      map_row(
          op.columns, y,
          [&s](const Floats& v, const Floats& w)
              __attribute__((always_inline)) { return normal_of<kCentred>(v, s) * w; },
          x, weight);
      op.statistics[row] = s.inverse;
    }
  }
}

// With n the normal x and h = grad * weight: dx = inverse * (h - mean(h) - n * mean(h * n)), of
// root mean squares without mean(h).
template <typename M, typename W, bool kCentred>
void x_grad_rows(const NormGrad& op, Index first, Index count) {
  const W* weight = static_cast<const W*>(op.weight);
  const auto columns = static_cast<float>(op.columns);
  for (Index row = first; row < first + count; ++row) {
    const Index at = row * op.columns;
    const M* x = static_cast<const M*>(op.x) + at;
    const M* grad = static_cast<const M*>(op.grad) + at;
    M* out = static_cast<M*>(op.x_grad) + at;
    const Statistics s = statistics_of<kCentred>(op.statistics, row);
    Floats sum{};
    Floats sum_normal{};
    over_row(
        op.columns,
        [&](auto kept, const Floats& v, const Floats& w, const Floats& g)
            __attribute__((always_inline)) {
              const Floats h = g * w;
              if constexpr (kCentred) sum += kept(h);
              sum_normal += kept(h * normal_of<kCentred>(v, s));
            },
        x, weight, grad);
    const float a = sum_of(sum) / columns;
    const float b = sum_of(sum_normal) / columns;
    const auto spread = [&s, a, b ](const Floats& v, const Floats& w, const Floats& g)
        __attribute__((always_inline)) {
      Floats h = g * w;
      if constexpr (kCentred) h = h - a;
      return s.inverse * (h - normal_of<kCentred>(v, s) * b);
    };
    if (op.past == nullptr) {
      map_row(op.columns, out, spread, x, weight, grad);
      continue;
    }
    map_row(
        op.columns, out,
        [&spread](const Floats& v, const Floats& w, const Floats& g, const Floats& past)
            __attribute__((always_inline)) { return spread(v, w, g) + past; },
        x, weight, grad, static_cast<const M*>(op.past) + at);
  }
}

/// `count` columns from `first` on, at most kSideBySide: as many sums as hide the latency of an
/// addition.
template <typename M, typename W, bool kCentred>
void weight_grad_columns(const NormGrad& op, Index first, Index count) {
  Floats sums[4] = {};
  Floats sums_normal[4] = {};
  const auto add = [&](int k, const Floats& v, const Floats& g, const Statistics& s)
      __attribute__((always_inline)) {
    if constexpr (kCentred) sums[k] += g;
    sums_normal[k] += g * normal_of<kCentred>(v, s);
  };
  for (Index row = 0; row < op.rows; ++row) {
    const M* x = static_cast<const M*>(op.x) + row * op.columns + first;
    const M* grad = static_cast<const M*>(op.grad) + row * op.columns + first;
    const Statistics s = statistics_of<kCentred>(op.statistics, row);
    if (count == kSideBySide) {
      for (int k = 0; k < 4; ++k) {
        add(k, load_value(x + k * kLanes), load_value(grad + k * kLanes), s);
      }
      continue;
    }
    over(
        count,
        [&](Index i) {
          add(static_cast<int>(i / kLanes), load_value(x + i), load_value(grad + i), s);
        },
        [&](Index i, Index left) {
          add(static_cast<int>(i / kLanes), load_part(x + i, left, M{}),
              load_part(grad + i, left, M{}), s);
        });
  }
  const auto keep = [first, count](const Floats* from, void* to) {
    for (Index i = 0; i < count; i += kLanes) {
      const Index left = count - i < kLanes ? count - i : kLanes;
      store_part(static_cast<W*>(to) + first + i, left, from[i / kLanes]);
    }
  };
  keep(sums_normal, op.weight_grad);
  if constexpr (kCentred) keep(sums, op.bias_grad);
}

template <bool kValue>
struct Flag {
  static constexpr bool kIs = kValue;
};

/// Calls visit with the types of rows and of weights, and whether rows have a mean.
template <typename Visit>
ATOLL_PRIMITIVE void visit_norm(const NormRows& op, Visit visit) {
  const auto with = [&op, &visit](auto rows, auto weights) {
    if (op.kind == NormKind::kLayer) return visit(rows, weights, Flag<true>{});
    visit(rows, weights, Flag<false>{});
  };
  if (op.element == Element::kF32) return with(Type<float>{}, Type<float>{});
  if (op.weight_element == Element::kF32) return with(Type<BF16>{}, Type<float>{});
  with(Type<BF16>{}, Type<BF16>{});
}

template <typename T>
using Is = typename T::Is;

void norm(const Norm& op, Index first, Index count) {
  visit_norm(op, [&]<typename M, typename W, typename Centred>(M, W, Centred) {
    norm_rows<Is<M>, Is<W>, Centred::kIs>(op, first, count);
  });
}

void x_grad(const NormGrad& op, Index first, Index count) {
  visit_norm(op, [&]<typename M, typename W, typename Centred>(M, W, Centred) {
    x_grad_rows<Is<M>, Is<W>, Centred::kIs>(op, first, count);
  });
}

void weight_grad(const NormGrad& op, Index first, Index count) {
  visit_norm(op, [&]<typename M, typename W, typename Centred>(M, W, Centred) {
    for (Index done = 0; done < count; done += kSideBySide) {
      const Index columns = count - done < kSideBySide ? count - done : kSideBySide;
      weight_grad_columns<Is<M>, Is<W>, Centred::kIs>(op, first + done, columns);
    }
  });
}

}  // namespace

extern const NormKernels kNormKernels;
const NormKernels kNormKernels = {norm, x_grad, weight_grad};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
