// Compiled once per instruction set with ATOLL_ISA naming it; see attention.h.

#include "ops/cpu/isa/attention.h"

#include "ops/cpu/isa/attention_dropout.h"
#include "ops/cpu/isa/attention_vector.h"

#define ATOLL_NAME_OF(isa) #isa
#define ATOLL_ISA_STRING(isa) ATOLL_NAME_OF(isa)
#define ATOLL_ISA_NAME "x86-64-" ATOLL_ISA_STRING(ATOLL_ISA)

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

// ---- element types ----

ATOLL_INLINE float value_of(float x) { return x; }
ATOLL_INLINE float value_of(std::uint16_t x) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16);
}
ATOLL_INLINE Quad quad(const float* from) { return *reinterpret_cast<const QuadAt*>(from); }
ATOLL_INLINE Quad quad(const std::uint16_t* from) {
  const auto half = *reinterpret_cast<const HalfQuadAt*>(from);
  return reinterpret_cast<Quad>(__builtin_convertvector(half, UintQuad) << 16);
}
ATOLL_INLINE void put(float* to, float value) { *to = value; }
/// To nearest, ties to even; a NaN keeps its upper half and is made quiet.
ATOLL_INLINE void put(std::uint16_t* to, float value) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  *to = static_cast<std::uint16_t>(value != value ? (bits >> 16) | 0x40 : rounded);
}

/// Rows of a head lie a whole row of the tensor apart, mostly on pages of their own, where no
/// processor fetches ahead by itself. Asking for what lies past the last row does no harm.
template <typename T>
ATOLL_INLINE void fetch_ahead(const T* row, Index stride, Index width) {
  constexpr Index kAhead = 12;
  constexpr Index kLine = 64 / sizeof(T);
  for (Index c = 0; c < width; c += kLine) __builtin_prefetch(row + kAhead * stride + c);
}

template <typename T>
void pack_of(Index count, Index width, const T* from, Index stride, float factor, float* to,
             Index to_stride) {
  const Index full = padded(width, kColumns);
  for (Index i = 0; i < count; ++i, from += stride, to += to_stride) {
    fetch_ahead(from, stride, width);
    for (Index c = 0; c < width; ++c) to[c] = value_of(from[c]) * factor;
    for (Index c = width; c < full; ++c) to[c] = 0;
  }
  for (Index i = count; i < padded(count, kRows); ++i, to += to_stride) {
    for (Index c = 0; c < full; ++c) to[c] = 0;
  }
}

/// Four rows of four become four columns.
template <typename T>
ATOLL_INLINE void transpose_quads(const T* from, Index stride, float* to, Index to_stride) {
  const Quad r0 = quad(from), r1 = quad(from + stride);
  const Quad r2 = quad(from + 2 * stride), r3 = quad(from + 3 * stride);
  const Quad a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
  const Quad b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
  const Quad c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  const Quad d = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  *reinterpret_cast<QuadAt*>(to) = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  *reinterpret_cast<QuadAt*>(to + to_stride) = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  *reinterpret_cast<QuadAt*>(to + 2 * to_stride) = __builtin_shufflevector(c, d, 0, 1, 4, 5);
  *reinterpret_cast<QuadAt*>(to + 3 * to_stride) = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

template <typename T>
void pack_transposed_of(Index count, Index width, const T* from, Index stride, float* to,
                        Index to_stride) {
  const Index whole = count / 4 * 4;
  const Index channels = width / 4 * 4;
  for (Index i = 0; i < whole; i += 4) {
    for (Index r = 0; r < 4; ++r) fetch_ahead(from + (i + r) * stride, stride, width);
    for (Index c = 0; c < channels; c += 4) {
      transpose_quads(from + i * stride + c, stride, to + c * to_stride + i, to_stride);
    }
  }
  for (Index c = 0; c < width; ++c) {
    const Index first = c < channels ? whole : 0;
    for (Index i = first; i < count; ++i) to[c * to_stride + i] = value_of(from[i * stride + c]);
    for (Index i = count; i < padded(count, kColumns); ++i) to[c * to_stride + i] = 0;
  }
}

template <typename T>
void unpack_of(Index count, Index width, const float* from, Index from_stride, const float* factor,
               T* to, Index stride) {
  for (Index i = 0; i < count; ++i, from += from_stride, to += stride) {
    fetch_ahead(to, stride, width);
    for (Index c = 0; c < width; ++c) put(to + c, from[c] * factor[i]);
  }
}

template <typename T>
void row_dot_of(Index count, Index width, const T* a, Index a_stride, const T* b, Index b_stride,
                float* out) {
  for (Index i = 0; i < count; ++i, a += a_stride, b += b_stride) {
    fetch_ahead(a, a_stride, width);
    fetch_ahead(b, b_stride, width);
    Quad sum{};
    Index c = 0;
    for (; c + 4 <= width; c += 4) sum += quad(a + c) * quad(b + c);
    float rest = 0;
    for (; c < width; ++c) rest += value_of(a[c]) * value_of(b[c]);
    out[i] = (sum[0] + sum[2]) + (sum[1] + sum[3]) + rest;
  }
}

void pack(Element element, Index count, Index width, const void* from, Index stride, float factor,
          float* to, Index to_stride) {
  if (element == Element::kF32) {
    pack_of(count, width, static_cast<const float*>(from), stride, factor, to, to_stride);
  } else {
    pack_of(count, width, static_cast<const std::uint16_t*>(from), stride, factor, to, to_stride);
  }
}

void pack_transposed(Element element, Index count, Index width, const void* from, Index stride,
                     float* to, Index to_stride) {
  if (element == Element::kF32) {
    pack_transposed_of(count, width, static_cast<const float*>(from), stride, to, to_stride);
  } else {
    pack_transposed_of(count, width, static_cast<const std::uint16_t*>(from), stride, to,
                       to_stride);
  }
}

void unpack(Element element, Index count, Index width, const float* from, Index from_stride,
            const float* factor, void* to, Index stride) {
  if (element == Element::kF32) {
    unpack_of(count, width, from, from_stride, factor, static_cast<float*>(to), stride);
  } else {
    unpack_of(count, width, from, from_stride, factor, static_cast<std::uint16_t*>(to), stride);
  }
}

void row_dot(Element element, Index count, Index width, const void* a, Index a_stride,
             const void* b, Index b_stride, float* out) {
  if (element == Element::kF32) {
    row_dot_of(count, width, static_cast<const float*>(a), a_stride, static_cast<const float*>(b),
               b_stride, out);
  } else {
    row_dot_of(count, width, static_cast<const std::uint16_t*>(a), a_stride,
               static_cast<const std::uint16_t*>(b), b_stride, out);
  }
}

// ---- products ----

enum class Start { kZero, kAsIs, kScaled };

/// One block in registers: c = start + sum over k of a b. Row r of a at step k is
/// a[r * a_stride + k], or a[k * a_stride + r] when transposed.
template <Start kStart, bool kTransposed>
ATOLL_INLINE void block(Index depth, const float* a, Index a_stride, const float* b, Index b_stride,
                        const float* keep, float* c, Index c_stride) {
  Vec sums[kRows][2];
#pragma GCC unroll 12
  for (Index r = 0; r < kRows; ++r) {
    sums[r][0] = kStart == Start::kZero ? Vec{} : load(c + r * c_stride);
    sums[r][1] = kStart == Start::kZero ? Vec{} : load(c + r * c_stride + kLanes);
    if (kStart == Start::kScaled) {
      sums[r][0] *= keep[r];
      sums[r][1] *= keep[r];
    }
  }
  for (Index k = 0; k < depth; ++k) {
    const Vec b0 = load(b + k * b_stride);
    const Vec b1 = load(b + k * b_stride + kLanes);
#pragma GCC unroll 12
    for (Index r = 0; r < kRows; ++r) {
      const Vec factor = all(kTransposed ? a[k * a_stride + r] : a[r * a_stride + k]);
      sums[r][0] += factor * b0;
      sums[r][1] += factor * b1;
    }
  }
#pragma GCC unroll 12
  for (Index r = 0; r < kRows; ++r) {
    store(c + r * c_stride, sums[r][0]);
    store(c + r * c_stride + kLanes, sums[r][1]);
  }
}

// Columns are the outer loop of all three: a panel of b then stays in the first-level cache while
// the rows pass by.

void scores(const ScoreTile& tile, Index width, const float* a, Index a_stride, const float* b,
            Index b_stride, float* s, Index s_stride) {
  for (Index j = 0; j < tile.columns; j += kColumns) {
    const Index first = most(0, j - tile.edge + 1) / kRows * kRows;
    for (Index i = first; i < tile.rows; i += kRows) {
      block<Start::kZero, false>(width, a + i * a_stride, a_stride, b + j, b_stride, nullptr,
                                 s + i * s_stride + j, s_stride);
    }
  }
}

void add_to_queries(const ScoreTile& tile, Index width, const float* s, Index s_stride,
                    const float* b, Index b_stride, const float* keep, float* o, Index o_stride) {
  for (Index c = 0; c < width; c += kColumns) {
    for (Index i = 0; i < tile.rows; i += kRows) {
      const Index depth = most(0, least(tile.columns, tile.edge + i + kRows - 1));
      const float* weights = s + i * s_stride;
      float* to = o + i * o_stride + c;
      if (keep == nullptr) {
        block<Start::kAsIs, false>(depth, weights, s_stride, b + c, b_stride, nullptr, to,
                                   o_stride);
      } else {
        block<Start::kScaled, false>(depth, weights, s_stride, b + c, b_stride, keep + i, to,
                                     o_stride);
      }
    }
  }
}

void add_to_keys(const ScoreTile& tile, Index width, const float* s, Index s_stride, const float* b,
                 Index b_stride, float* o, Index o_stride) {
  for (Index c = 0; c < width; c += kColumns) {
    for (Index j = 0; j < tile.columns; j += kRows) {
      const Index first = most(0, j - tile.edge + 1);  // the first query that sees key j
      if (first >= tile.rows) break;
      block<Start::kAsIs, true>(tile.rows - first, s + first * s_stride + j, s_stride,
                                b + first * b_stride + c, b_stride, nullptr, o + j * o_stride + c,
                                o_stride);
    }
  }
}

// ---- softmax ----

/// Columns that row i of the tile sees.
ATOLL_INLINE Index seen_by(const ScoreTile& tile, Index i) {
  return most(0, least(tile.columns, tile.edge + i));
}

/// Makes what lies past `seen` up to a whole block minus infinity, and what `bias` hides; returns
/// the end of that block.
ATOLL_INLINE Index hide(Index seen, const float* bias, float* s) {
  const Index end = padded(seen, kColumns);
  for (Index j = seen; j < end; j += kLanes) store(s + j, all(kMinusInfinity));
  if (bias != nullptr) {
    for (Index j = 0; j < seen; ++j) s[j] += bias[j];
  }
  return end;
}

/// A product reads up to kRows - 1 columns past those that a row sees.
ATOLL_INLINE void clear(float* past_end) {
  store(past_end, Vec{});
  if (kLanes < kRows) store(past_end + kLanes, Vec{});
}

/// A row that has seen nothing yet subtracts zero from minus infinity, not infinity from it.
ATOLL_INLINE float shift_of(float maximum) { return maximum == kMinusInfinity ? 0 : maximum; }

/// Each row's maximum so far; `keep` receives by how much it rose, in binary orders of magnitude.
ATOLL_INLINE void raise(const ScoreTile& tile, const float* bias, float* s, Index s_stride,
                        float* maximum, float* keep) {
  for (Index i = 0; i < tile.rows; ++i, s += s_stride) {
    const Index end = hide(seen_by(tile, i), bias, s);
    Vec even = all(maximum[i]);
    Vec odd = even;
    for (Index j = 0; j < end; j += kColumns) {
      even = Largest()(load(s + j), even);
      odd = Largest()(load(s + j + kLanes), odd);
    }
    const float top = fold(Largest()(even, odd), Largest());
    keep[i] = maximum[i] - shift_of(top);
    maximum[i] = top;
  }
}

void softmax(const ScoreTile& tile, const float* bias, const WeightDropout* dropout, float* s,
             Index s_stride, float* maximum, float* sum, float* keep) {
  FactorRow factors(dropout);
  raise(tile, bias, s, s_stride, maximum, keep);
  for (Index i = 0; i < tile.rows; i += kLanes) {
    Vec rise[1] = {load(keep + i)};
    exp2_all(rise);
    store(keep + i, rise[0]);
  }
  for (Index i = 0; i < tile.rows; ++i, s += s_stride) {
    const Index end = padded(seen_by(tile, i), kColumns);
    const float shift = shift_of(maximum[i]);
    Vec total{};
    over(
        end, [&](auto count, Index j) __attribute__((always_inline)) {
          Vec weights[count.value];
          for (int n = 0; n < count.value; ++n) weights[n] = load(s + j + n * kLanes) - shift;
          exp2_all(weights);
          for (int n = 0; n < count.value; ++n) {
            total += weights[n];
            store(s + j + n * kLanes, weights[n]);
          }
        });
    clear(s + end);
    sum[i] = sum[i] * keep[i] + fold(total, Sum());
    if (!factors) continue;
    factors.draw(i, end);
    for (Index j = 0; j < end; j += kLanes) store(s + j, load(s + j) * factors[j]);
  }
}

void softmax_grad(const ScoreTile& tile, const float* bias, const WeightDropout* dropout,
                  const float* log_sum_exp, const float* delta, float* s, float* dp, Index stride) {
  FactorRow factors(dropout);
  for (Index i = 0; i < tile.rows; ++i, s += stride, dp += stride) {
    const Index end = hide(seen_by(tile, i), bias, s);
    if (factors) factors.draw(i, end);
    over(
        end, [&](auto count, Index first) __attribute__((always_inline)) {
          Vec p[count.value];
          for (int n = 0; n < count.value; ++n) {
            p[n] = load(s + first + n * kLanes) - log_sum_exp[i];
          }
          exp2_all(p);
          for (int n = 0; n < count.value; ++n) {
            const Index j = first + n * kLanes;
            const Vec factor = factors ? factors[j] : all(1);
            store(s + j, p[n] * factor);
            store(dp + j, p[n] * (load(dp + j) * factor - delta[i]));
          }
        });
    clear(s + end);
    clear(dp + end);
  }
}

}  // namespace

extern const AttentionKernels kAttentionKernels;
const AttentionKernels kAttentionKernels = {ATOLL_ISA_NAME,  kRows,       kColumns, pack,
                                            pack_transposed, unpack,      row_dot,  scores,
                                            add_to_queries,  add_to_keys, softmax,  softmax_grad};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
