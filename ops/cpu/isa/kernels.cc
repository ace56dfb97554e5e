// Compiled once per instruction set with ATOLL_ISA naming it; see kernels.h for why nothing of the
// standard library may be used here.

#include "ops/cpu/isa/kernels.h"

#include <math.h>

#define ATOLL_NAME_OF(isa) #isa
#define ATOLL_ISA_STRING(isa) ATOLL_NAME_OF(isa)
#define ATOLL_ISA_NAME "x86-64-" ATOLL_ISA_STRING(ATOLL_ISA)

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

constexpr Index kLanes = 16;
typedef float Vec __attribute__((vector_size(64)));
typedef float VecAt __attribute__((vector_size(64), aligned(4), may_alias));
typedef std::int32_t IntVec __attribute__((vector_size(64)));
typedef std::uint32_t UintVec __attribute__((vector_size(64)));
typedef std::uint16_t Half __attribute__((vector_size(32)));
typedef std::uint16_t HalfAt __attribute__((vector_size(32), aligned(2), may_alias));
typedef double Wide __attribute__((vector_size(128)));

#define ATOLL_INLINE static inline __attribute__((always_inline))

ATOLL_INLINE Vec all(float value) { return Vec{} + value; }
ATOLL_INLINE Vec load(const float* from) { return *reinterpret_cast<const VecAt*>(from); }
ATOLL_INLINE void store(float* to, Vec value) { *reinterpret_cast<VecAt*>(to) = value; }

/// The first `n` lanes from memory, the others `rest`.
ATOLL_INLINE Vec load_part(const float* from, Index n, float rest) {
  Vec value = all(rest);
  for (Index i = 0; i < n; ++i) value[i] = from[i];
  return value;
}
ATOLL_INLINE void store_part(float* to, Index n, Vec value) {
  for (Index i = 0; i < n; ++i) to[i] = value[i];
}

/// Folds by halves: the one order in which lanes are added.
ATOLL_INLINE float sum_of(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (Index width = kLanes / 2; width > 0; width /= 2) {
    for (Index i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}
ATOLL_INLINE float max_of(Vec v) {
  float best = v[0];
  for (Index i = 1; i < kLanes; ++i) best = v[i] > best ? v[i] : best;
  return best;
}
ATOLL_INLINE Vec max(Vec a, Vec b) { return a > b ? a : b; }

/// Calls full(i) for each whole vector and part(i, left) for what remains.
template <typename Full, typename Part>
ATOLL_INLINE void over(Index n, Full full, Part part) {
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes) full(i);
  if (i < n) part(i, n - i);
}

/// 2^n e^r with |r| <= ln(2) / 2: n by adding a number so large that only integers are left, r by
/// subtracting n ln(2) in two parts (the first has few bits, so n times it is exact), e^r by the
/// polynomial of Cephes' expf.
ATOLL_INLINE Vec exp_of(Vec x) {
  const Vec low = all(-87.33654f);
  const Vec high = all(88.37626f);
  Vec y = x < low ? low : x;
  y = y > high ? high : y;
  const Vec shifted = y * 1.44269504088896341f + 12582912.0f;
  const Vec n = shifted - 12582912.0f;
  Vec r = y - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  Vec p = all(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const IntVec power = (reinterpret_cast<IntVec>(shifted) << 23) + 0x3F800000;
  const Vec result = p * reinterpret_cast<Vec>(power);
  return x < low ? Vec{} : result;
}

void add(Index n, const float* a, const float* b, float* out) {
  over(
      n, [&](Index i) { store(out + i, load(a + i) + load(b + i)); },
      [&](Index i, Index left) {
        store_part(out + i, left, load_part(a + i, left, 0) + load_part(b + i, left, 0));
      });
}

void exp(Index n, const float* x, float* out) {
  over(
      n, [&](Index i) { store(out + i, exp_of(load(x + i))); },
      [&](Index i, Index left) { store_part(out + i, left, exp_of(load_part(x + i, left, 0))); });
}

// gelu(x) = x (1 + tanh(u)) / 2 = x sigmoid(2u), with u = sqrt(2 / pi) (x + 0.044715 x^3): one
// exponential and no cancellation for negative x.
constexpr float kTwoC = 2 * 0.7978845608028654f;
constexpr float kCubic = 0.044715f;

ATOLL_INLINE Vec gelu_gate(Vec x) {
  Vec minus_two_u = -(x + x * x * x * kCubic) * kTwoC;
  // At 80 the gate is 2e-35: further out it would only become denormal.
  minus_two_u = minus_two_u > all(80.0f) ? all(80.0f) : minus_two_u;
  return 1.0f / (1.0f + exp_of(minus_two_u));
}
ATOLL_INLINE Vec gelu_of(Vec x) { return x * gelu_gate(x); }
ATOLL_INLINE Vec gelu_slope(Vec x) {
  const Vec gate = gelu_gate(x);
  const Vec two_u_slope = (1.0f + x * x * (3 * kCubic)) * kTwoC;
  return gate + x * gate * (1.0f - gate) * two_u_slope;
}

void gelu(Index n, const float* x, float* out) {
  over(
      n, [&](Index i) { store(out + i, gelu_of(load(x + i))); },
      [&](Index i, Index left) { store_part(out + i, left, gelu_of(load_part(x + i, left, 0))); });
}

void gelu_grad(Index n, const float* x, const float* grad, float* out) {
  over(
      n, [&](Index i) { store(out + i, load(grad + i) * gelu_slope(load(x + i))); },
      [&](Index i, Index left) {
        store_part(out + i, left,
                   load_part(grad + i, left, 0) * gelu_slope(load_part(x + i, left, 0)));
      });
}

void layer_norm(Index rows, Index columns, const float* x, const float* weight, const float* bias,
                float epsilon, float* y, float* statistics) {
  for (Index row = 0; row < rows; ++row, x += columns, y += columns) {
    Vec sum{};
    over(
        columns, [&](Index i) { sum += load(x + i); },
        [&](Index i, Index left) { sum += load_part(x + i, left, 0); });
    const float mean = sum_of(sum) / static_cast<float>(columns);
    Vec squares{};
    const auto square = [&](Vec v) {
      const Vec d = v - mean;
      squares += d * d;
    };
    over(
        columns, [&](Index i) { square(load(x + i)); },
        [&](Index i, Index left) { square(load_part(x + i, left, mean)); });
    const float variance = sum_of(squares) / static_cast<float>(columns);
    const float inverse = 1.0f / __builtin_sqrtf(variance + epsilon);
    over(
        columns,
        [&](Index i) {
          store(y + i, (load(x + i) - mean) * inverse * load(weight + i) + load(bias + i));
        },
        [&](Index i, Index left) {
          store_part(y + i, left,
                     (load_part(x + i, left, 0) - mean) * inverse * load_part(weight + i, left, 0) +
                         load_part(bias + i, left, 0));
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
    Vec sum{};
    Vec sum_normal{};
    const auto gather = [&](Vec v, Vec w, Vec g) {
      const Vec scaled = g * w;
      sum += scaled;
      sum_normal += scaled * ((v - mean) * inverse);
    };
    over(
        columns, [&](Index i) { gather(load(x + i), load(weight + i), load(grad + i)); },
        [&](Index i, Index left) {
          gather(load_part(x + i, left, mean), load_part(weight + i, left, 0),
                 load_part(grad + i, left, 0));
        });
    const float a = sum_of(sum) / static_cast<float>(columns);
    const float b = sum_of(sum_normal) / static_cast<float>(columns);
    const auto spread = [&](Vec v, Vec w, Vec g) {
      return inverse * (g * w - a - (v - mean) * inverse * b);
    };
    over(
        columns,
        [&](Index i) { store(out + i, spread(load(x + i), load(weight + i), load(grad + i))); },
        [&](Index i, Index left) {
          store_part(out + i, left,
                     spread(load_part(x + i, left, mean), load_part(weight + i, left, 0),
                            load_part(grad + i, left, 0)));
        });
  }
}

void layer_norm_weight_grad(Index rows, Index columns, Index first, Index count, const float* x,
                            const float* statistics, const float* grad, float* weight,
                            float* bias) {
  for (Index c = first; c < first + count; c += kLanes) {
    const Index left = first + count - c;
    Vec sum{};
    Vec sum_normal{};
    for (Index row = 0; row < rows; ++row) {
      const float* x_at = x + row * columns + c;
      const float* grad_at = grad + row * columns + c;
      const Vec v = left >= kLanes ? load(x_at) : load_part(x_at, left, 0);
      const Vec g = left >= kLanes ? load(grad_at) : load_part(grad_at, left, 0);
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
    Vec s0{}, s1{}, s2{}, s3{};
    for (Index row = 0; row < rows; ++row) {
      const float* at = x + row * columns + c;
      s0 += load(at);
      s1 += load(at + kLanes);
      s2 += load(at + 2 * kLanes);
      s3 += load(at + 3 * kLanes);
    }
    store(out + c, s0);
    store(out + c + kLanes, s1);
    store(out + c + 2 * kLanes, s2);
    store(out + c + 3 * kLanes, s3);
  }
  for (; c < end; c += kLanes) {
    const Index left = end - c < kLanes ? end - c : kLanes;
    Vec sum{};
    for (Index row = 0; row < rows; ++row) {
      sum +=
          left == kLanes ? load(x + row * columns + c) : load_part(x + row * columns + c, left, 0);
    }
    store_part(out + c, left, sum);
  }
}

ATOLL_INLINE float max_over(Index n, const float* x) {
  Vec best = all(-__builtin_inff());
  over(
      n, [&](Index i) { best = max(load(x + i), best); },
      [&](Index i, Index left) { best = max(load_part(x + i, left, -__builtin_inff()), best); });
  return max_of(best);
}

/// out = exp(scale * x - shift); returns the sum. `out` may be x, or null.
ATOLL_INLINE float exp_sum(Index n, const float* x, float scale, float shift, float* out) {
  Vec sum{};
  over(
      n,
      [&](Index i) {
        const Vec e = exp_of(load(x + i) * scale - shift);
        sum += e;
        if (out != nullptr) store(out + i, e);
      },
      [&](Index i, Index left) {
        Vec at = load_part(x + i, left, 0) * scale - shift;
        for (Index lane = left; lane < kLanes; ++lane) at[lane] = -1e30f;  // becomes zero
        const Vec e = exp_of(at);
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
      valid, [&](Index i) { store(s + i, load(s + i) * inverse); },
      [&](Index i, Index left) { store_part(s + i, left, load_part(s + i, left, 0) * inverse); });
  for (Index i = valid; i < n; ++i) s[i] = 0;
  return shift + logf(sum);
}

void softmax_again(Index valid, Index n, float scale, float log_sum_exp, float* s) {
  exp_sum(valid, s, scale, log_sum_exp, s);
  for (Index i = valid; i < n; ++i) s[i] = 0;
}

void softmax_grad(Index n, const float* p, const float* dp, float d, float scale, float* out) {
  over(
      n, [&](Index i) { store(out + i, load(p + i) * (load(dp + i) - d) * scale); },
      [&](Index i, Index left) {
        store_part(out + i, left,
                   load_part(p + i, left, 0) * (load_part(dp + i, left, 0) - d) * scale);
      });
}

float dot(Index n, const float* a, const float* b) {
  Vec sum{};
  over(
      n, [&](Index i) { sum += load(a + i) * load(b + i); },
      [&](Index i, Index left) { sum += load_part(a + i, left, 0) * load_part(b + i, left, 0); });
  return sum_of(sum);
}

double cross_entropy(Index n, const float* x, Index target, float scale, float* grad) {
  const float shift = max_over(n, x);
  const float sum = exp_sum(n, x, 1.0f, shift, grad);
  if (grad != nullptr) {
    const float factor = scale / sum;
    over(
        n, [&](Index i) { store(grad + i, load(grad + i) * factor); },
        [&](Index i, Index left) {
          store_part(grad + i, left, load_part(grad + i, left, 0) * factor);
        });
    grad[target] -= scale;
  }
  return log(static_cast<double>(sum)) + (static_cast<double>(shift) - x[target]);
}

double square_sum(Index n, const float* x) {
  Wide sum{};
  const auto square = [&](Vec v) {
    const Wide wide = __builtin_convertvector(v, Wide);
    sum += wide * wide;
  };
  over(
      n, [&](Index i) { square(load(x + i)); },
      [&](Index i, Index left) { square(load_part(x + i, left, 0)); });
  double lanes[kLanes];
  for (Index i = 0; i < kLanes; ++i) lanes[i] = sum[i];
  for (Index width = kLanes / 2; width > 0; width /= 2) {
    for (Index i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// The order of operations is that of torch.optim.AdamW.
void adamw(Index n, const AdamWFactors& f, const float* grad, float* master, float* m, float* v) {
  for (Index i = 0; i < n; ++i) {
    const float g = grad[i] * f.grad_scale;
    const float mean = f.beta1 * m[i] + f.one_minus_beta1 * g;
    const float square = f.beta2 * v[i] + f.one_minus_beta2 * g * g;
    const float denominator = __builtin_sqrtf(square) * f.inverse_sqrt_correction2 + f.epsilon;
    m[i] = mean;
    v[i] = square;
    master[i] = master[i] * f.decay - f.step_size * (mean / denominator);
  }
}

ATOLL_INLINE Half bf16_of(Vec x) {
  const UintVec bits = reinterpret_cast<UintVec>(x);
  // To nearest, ties to even; a NaN keeps its upper half and is made quiet.
  const UintVec rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  const UintVec quiet = (bits >> 16) | 0x40;
  return __builtin_convertvector(x != x ? quiet : rounded, Half);
}

void to_bf16(Index n, const float* x, std::uint16_t* out) {
  over(
      n, [&](Index i) { *reinterpret_cast<HalfAt*>(out + i) = bf16_of(load(x + i)); },
      [&](Index i, Index left) {
        const Half half = bf16_of(load_part(x + i, left, 0));
        for (Index lane = 0; lane < left; ++lane) out[i + lane] = half[lane];
      });
}

void from_bf16(Index n, const std::uint16_t* x, float* out) {
  for (Index i = 0; i < n; ++i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(x[i]) << 16;
    __builtin_memcpy(out + i, &bits, sizeof bits);
  }
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
                                      cross_entropy,
                                      square_sum,
                                      adamw,
                                      to_bf16,
                                      from_bf16};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
