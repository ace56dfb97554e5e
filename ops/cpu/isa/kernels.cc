// Compiled once per instruction set with ATOLL_ISA naming it; see kernels.h for why nothing of the
// standard library may be used here.

#include "ops/cpu/isa/kernels.h"

#include <math.h>

#include "ops/primitive/functors.h"
#include "ops/primitive/memory.h"

#define ATOLL_NAME_OF(isa) #isa
#define ATOLL_ISA_STRING(isa) ATOLL_NAME_OF(isa)
#define ATOLL_ISA_NAME "x86-64-" ATOLL_ISA_STRING(ATOLL_ISA)

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;
using Floats = Vec<float>;

ATOLL_PRIMITIVE float sum_of(const Floats& v) {
  return fold(v, [](float a, float b) { return a + b; });
}

/// out[i] = f(x[i] ..).
template <typename F, typename... In>
ATOLL_PRIMITIVE void map_to(Index n, float* out, F f, const In*... x) {
  over(
      n, [&](Index i) { store(out + i, f(load<Floats>(x + i)...)); },
      [&](Index i, Index left) { store_part(out + i, left, f(load_part(x + i, left, 0.0f)...)); });
}

void add(Index n, const float* a, const float* b, float* out) { map_to(n, out, Add{}, a, b); }

void exp(Index n, const float* x, float* out) {
  map_to(
      n, out, [](Floats v) { return exp_bounded(v); }, x);
}

void gelu(Index n, const float* x, float* out) { map_to(n, out, Gelu{}, x); }

void gelu_grad(Index n, const float* x, const float* grad, float* out) {
  map_to(n, out, GeluGrad{}, x, grad);
}

void layer_norm(Index rows, Index columns, const float* x, const float* weight, const float* bias,
                float epsilon, float* y, float* statistics) {
  for (Index row = 0; row < rows; ++row, x += columns, y += columns) {
    Floats sum{};
    over(
        columns, [&](Index i) { sum += load<Floats>(x + i); },
        [&](Index i, Index left) { sum += load_part(x + i, left, 0.0f); });
    const float mean = sum_of(sum) / static_cast<float>(columns);
    Floats squares{};
    const auto square = [&](Floats v) {
      const Floats d = v - mean;
      squares += d * d;
    };
    over(
        columns, [&](Index i) { square(load<Floats>(x + i)); },
        [&](Index i, Index left) { square(load_part(x + i, left, mean)); });
    const float variance = sum_of(squares) / static_cast<float>(columns);
    const float inverse = 1.0f / __builtin_sqrtf(variance + epsilon);
    over(
        columns,
        [&](Index i) {
          store(y + i, (load<Floats>(x + i) - mean) * inverse * load<Floats>(weight + i) +
                           load<Floats>(bias + i));
        },
        [&](Index i, Index left) {
          store_part(
              y + i, left,
              (load_part(x + i, left, 0.0f) - mean) * inverse * load_part(weight + i, left, 0.0f) +
                  load_part(bias + i, left, 0.0f));
        });
    statistics[2 * row] = mean;
    statistics[2 * row + 1] = inverse;
  }
}

// With n = (x - mean) * inverse and g = grad * weight:
// dx = inverse * (g - mean(g) - n * mean(g * n)).
void layer_norm_grad(Index rows, Index columns, const float* x, const float* weight,
                     const float* statistics, const float* grad, float* out) {
  for (Index row = 0; row < rows; ++row, x += columns, grad += columns, out += columns) {
    const float mean = statistics[2 * row];
    const float inverse = statistics[2 * row + 1];
    Floats sum{};
    Floats sum_normal{};
    const auto gather = [&](Floats v, Floats w, Floats g) {
      const Floats scaled = g * w;
      sum += scaled;
      sum_normal += scaled * ((v - mean) * inverse);
    };
    over(
        columns,
        [&](Index i) {
          gather(load<Floats>(x + i), load<Floats>(weight + i), load<Floats>(grad + i));
        },
        [&](Index i, Index left) {
          gather(load_part(x + i, left, mean), load_part(weight + i, left, 0.0f),
                 load_part(grad + i, left, 0.0f));
        });
    const float a = sum_of(sum) / static_cast<float>(columns);
    const float b = sum_of(sum_normal) / static_cast<float>(columns);
    const auto spread = [&](Floats v, Floats w, Floats g) {
      return inverse * (g * w - a - (v - mean) * inverse * b);
    };
    over(
        columns,
        [&](Index i) {
          store(out + i,
                spread(load<Floats>(x + i), load<Floats>(weight + i), load<Floats>(grad + i)));
        },
        [&](Index i, Index left) {
          store_part(out + i, left,
                     spread(load_part(x + i, left, mean), load_part(weight + i, left, 0.0f),
                            load_part(grad + i, left, 0.0f)));
        });
  }
}

void layer_norm_weight_grad(Index rows, Index columns, Index first, Index count, const float* x,
                            const float* statistics, const float* grad, float* weight,
                            float* bias) {
  for (Index c = first; c < first + count; c += kLanes) {
    const Index left = first + count - c;
    Floats sum{};
    Floats sum_normal{};
    for (Index row = 0; row < rows; ++row) {
      const float* x_at = x + row * columns + c;
      const float* grad_at = grad + row * columns + c;
      const Floats v = left >= kLanes ? load<Floats>(x_at) : load_part(x_at, left, 0.0f);
      const Floats g = left >= kLanes ? load<Floats>(grad_at) : load_part(grad_at, left, 0.0f);
      sum += g;
      sum_normal += g * ((v - statistics[2 * row]) * statistics[2 * row + 1]);
    }
    if (left >= kLanes) {
      store(weight + c, sum_normal);
      store(bias + c, sum);
    } else {
      store_part(weight + c, left, sum_normal);
      store_part(bias + c, left, sum);
    }
  }
}

void column_sum(Index rows, Index columns, Index first, Index count, const float* x, float* out) {
  // Four vectors side by side hide the latency of the addition; each column's order is unchanged.
  Index c = first;
  const Index end = first + count;
  for (; c + 4 * kLanes <= end; c += 4 * kLanes) {
    Floats s0{}, s1{}, s2{}, s3{};
    for (Index row = 0; row < rows; ++row) {
      const float* at = x + row * columns + c;
      s0 += load<Floats>(at);
      s1 += load<Floats>(at + kLanes);
      s2 += load<Floats>(at + 2 * kLanes);
      s3 += load<Floats>(at + 3 * kLanes);
    }
    store(out + c, s0);
    store(out + c + kLanes, s1);
    store(out + c + 2 * kLanes, s2);
    store(out + c + 3 * kLanes, s3);
  }
  for (; c < end; c += kLanes) {
    const Index left = end - c < kLanes ? end - c : kLanes;
    Floats sum{};
    for (Index row = 0; row < rows; ++row) {
      sum += left == kLanes ? load<Floats>(x + row * columns + c)
                            : load_part(x + row * columns + c, left, 0.0f);
    }
    store_part(out + c, left, sum);
  }
}

ATOLL_PRIMITIVE float max_over(Index n, const float* x) {
  Floats best = all<Floats>(-__builtin_inff());
  const auto see = [&](Floats v) { best = select(v > best, v, best); };
  over(
      n, [&](Index i) { see(load<Floats>(x + i)); },
      [&](Index i, Index left) { see(load_part(x + i, left, -__builtin_inff())); });
  return fold(best, [](float a, float b) { return b > a ? b : a; });
}

/// out = exp(scale * x - shift); returns the sum. `out` may be x, or null.
ATOLL_PRIMITIVE float exp_sum(Index n, const float* x, float scale, float shift, float* out) {
  Floats sum{};
  over(
      n,
      [&](Index i) {
        const Floats e = exp_bounded(load<Floats>(x + i) * scale - shift);
        sum += e;
        if (out != nullptr) store(out + i, e);
      },
      [&](Index i, Index left) {
        const Floats at = load_part(x + i, left, 0.0f) * scale - shift;
        const Floats e = select(first_lanes<float>(left), exp_bounded(at), Floats{});
        sum += e;
        if (out != nullptr) store_part(out + i, left, e);
      });
  return sum_of(sum);
}

float softmax(Index valid, Index n, float scale, float* s) {
  const float shift = max_over(valid, s) * scale;
  const float sum = exp_sum(valid, s, scale, shift, s);
  const float inverse = 1.0f / sum;
  over(
      valid, [&](Index i) { store(s + i, load<Floats>(s + i) * inverse); },
      [&](Index i, Index left) {
        store_part(s + i, left, load_part(s + i, left, 0.0f) * inverse);
      });
  for (Index i = valid; i < n; ++i) s[i] = 0;
  return shift + logf(sum);
}

void softmax_again(Index valid, Index n, float scale, float log_sum_exp, float* s) {
  exp_sum(valid, s, scale, log_sum_exp, s);
  for (Index i = valid; i < n; ++i) s[i] = 0;
}

void softmax_grad(Index n, const float* p, const float* dp, float d, float scale, float* out) {
  over(
      n, [&](Index i) { store(out + i, load<Floats>(p + i) * (load<Floats>(dp + i) - d) * scale); },
      [&](Index i, Index left) {
        store_part(out + i, left,
                   load_part(p + i, left, 0.0f) * (load_part(dp + i, left, 0.0f) - d) * scale);
      });
}

float dot(Index n, const float* a, const float* b) {
  Floats sum{};
  over(
      n, [&](Index i) { sum += load<Floats>(a + i) * load<Floats>(b + i); },
      [&](Index i, Index left) {
        sum += load_part(a + i, left, 0.0f) * load_part(b + i, left, 0.0f);
      });
  return sum_of(sum);
}

double cross_entropy(Index n, const float* x, Index target, float scale, float* grad) {
  const float shift = max_over(n, x);
  const float sum = exp_sum(n, x, 1.0f, shift, grad);
  if (grad != nullptr) {
    const float factor = scale / sum;
    over(
        n, [&](Index i) { store(grad + i, load<Floats>(grad + i) * factor); },
        [&](Index i, Index left) {
          store_part(grad + i, left, load_part(grad + i, left, 0.0f) * factor);
        });
    grad[target] -= scale;
  }
  return ::log(static_cast<double>(sum)) + (static_cast<double>(shift) - x[target]);
}

}  // namespace

extern const VectorKernels kVectorKernels;
const VectorKernels kVectorKernels = {ATOLL_ISA_NAME,
                                      add,
                                      exp,
                                      gelu,
                                      gelu_grad,
                                      layer_norm,
                                      layer_norm_grad,
                                      layer_norm_weight_grad,
                                      column_sum,
                                      softmax,
                                      softmax_again,
                                      softmax_grad,
                                      dot,
                                      cross_entropy};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
