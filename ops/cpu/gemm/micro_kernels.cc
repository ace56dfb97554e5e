// Compiled once per instruction set with ATOLL_ISA naming it, with contraction: a * b + c is one
// fused multiply-add where the processor has it. Nothing of the standard library, see
// cpu/isa/kernels.h.
//
// The scheme is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
// (2008), with the micro-kernel of Van Zee and van de Geijn, "BLIS" (2015): a block of the result
// stays in registers while k runs, the right operand's panel in the first-level cache while the
// rows of the block pass, and the left operand's rows in the second-level cache while the panels
// pass.

#include "ops/cpu/gemm/micro_kernels.h"

#include "ops/cpu/gemm/finish.h"
#include "ops/cpu/isa/product_vector.h"

#define ATOLL_UNROLL _Pragma("GCC unroll 16")
#define ATOLL_NAME_OF(isa) #isa
#define ATOLL_ISA_STRING(isa) ATOLL_NAME_OF(isa)
#define ATOLL_ISA_NAME "x86-64-" ATOLL_ISA_STRING(ATOLL_ISA)

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

typedef std::int32_t IntQuad __attribute__((vector_size(16)));

/// sums (Rows, kColumns) = or += a b. In panels the rows of one k are neighbours; else the k of one
/// row are, and rows are `a_row_stride` apart.
template <Index Rows, bool Panels>
void multiply_micro(Index inner, const float* a, Index a_row_stride, const float* b, float* sums,
                    Index sums_stride, bool accumulate) {
  Vec sum[Rows][kVectors];
  ATOLL_UNROLL for (Index row = 0; row < Rows; ++row) {
    ATOLL_UNROLL for (Index v = 0; v < kVectors; ++v) sum[row][v] = Vec{};
    __builtin_prefetch(sums + row * sums_stride, 1);
  }
#pragma GCC unroll 4
  for (Index k = 0; k < inner; ++k) {
    Vec right[kVectors];
    ATOLL_UNROLL for (Index v = 0; v < kVectors; ++v) right[v] = load(b + v * kLanes);
    ATOLL_UNROLL for (Index row = 0; row < Rows; ++row) {
      const Vec left = all(Panels ? a[row] : a[row * a_row_stride]);
      ATOLL_UNROLL for (Index v = 0; v < kVectors; ++v) sum[row][v] += left * right[v];
    }
    a += Panels ? kRows : 1;
    b += kColumns;
  }
  ATOLL_UNROLL for (Index row = 0; row < Rows; ++row) {
    ATOLL_UNROLL for (Index v = 0; v < kVectors; ++v) {
      float* at = sums + row * sums_stride + v * kLanes;
      store(at, accumulate ? load(at) + sum[row][v] : sum[row][v]);
    }
  }
}

using Micro = void (*)(Index, const float*, Index, const float*, float*, Index, bool);

/// multiply_micro for 1 to kRows rows, so that the last rows of a block cost what they are.
template <bool Panels>
struct Micros {
  Micro by_rows[kRows + 1] = {};
  constexpr Micros() { fill<kRows>(); }
  template <Index Rows>
  constexpr void fill() {
    by_rows[Rows] = multiply_micro<Rows, Panels>;
    if constexpr (Rows > 1) fill<Rows - 1>();
  }
};
constexpr Micros<true> kPanelMicros;
constexpr Micros<false> kRowMicros;

/// For the last panel's columns: a whole micro-kernel aside, of which `columns` are kept.
void multiply_edge(Micro micro, Index rows, Index columns, const Block& block, const float* a,
                   const float* b, float* sums) {
  float aside[kRows * kColumns];
  micro(block.inner, a, block.a_row_stride, b, aside, kColumns, false);
  for (Index row = 0; row < rows; ++row) {
    for (Index column = 0; column < columns; ++column) {
      float* at = sums + row * block.sums_stride + column;
      const float value = aside[row * kColumns + column];
      *at = block.accumulate ? *at + value : value;
    }
  }
}

void multiply(const Block& block) {
  const bool panels = block.a_row_stride == 0;
  const Index a_step = panels ? kRows * block.inner : kRows * block.a_row_stride;
  const Micro* micros = panels ? kPanelMicros.by_rows : kRowMicros.by_rows;
  for (Index column = 0; column < block.columns; column += kColumns) {
    const Index left = block.columns - column;
    const Index columns = left < kColumns ? left : kColumns;
    const float* a = block.a;
    const float* b = block.b + column * block.inner;
    for (Index row = 0; row < block.rows; row += kRows, a += a_step) {
      const Index rows = block.rows - row < kRows ? block.rows - row : kRows;
      float* sums = block.sums + row * block.sums_stride + column;
      if (columns == kColumns) {
        micros[rows](block.inner, a, block.a_row_stride, b, sums, block.sums_stride,
                     block.accumulate);
      } else {
        multiply_edge(micros[rows], rows, columns, block, a, b, sums);
      }
    }
    if (block.finish != nullptr)
      finish(*block.finish, block.finish_row, block.rows, column, columns);
  }
}

ATOLL_INLINE float at(const float* from) { return *from; }
ATOLL_INLINE float at(const std::uint16_t* from) {
  const std::uint32_t bits = static_cast<std::uint32_t>(*from) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
ATOLL_INLINE Quad four(const float* from) { return *reinterpret_cast<const QuadAt*>(from); }
ATOLL_INLINE Quad four(const std::uint16_t* from) {
  const auto half = *reinterpret_cast<const HalfQuadAt*>(from);
  return reinterpret_cast<Quad>(__builtin_convertvector(half, UintQuad) << 16);
}
ATOLL_INLINE void store_four(float* to, Quad value) { *reinterpret_cast<QuadAt*>(to) = value; }

template <Index Width, typename Element>
ATOLL_INLINE void copy_lanes(const Element* from, float* to) {
  ATOLL_UNROLL for (Index lane = 0; lane + 4 <= Width; lane += 4) {
    store_four(to + lane, four(from + lane));
  }
  ATOLL_UNROLL for (Index lane = Width / 4 * 4; lane < Width; ++lane) to[lane] = at(from + lane);
}

/// Lanes are neighbours in memory: panels are made by copying, all of them side by side, so that
/// memory is read in the longest runs there are. The processor's prefetcher does not follow rows
/// that are pages apart.
template <Index Width, typename Element>
void copy_panels(const Element* from, Index inner_stride, Index inner, Index count, float* panels) {
  constexpr Index kAhead = 8;
  for (Index k = 0; k < inner; ++k, from += inner_stride, panels += Width) {
    for (Index panel = 0; panel < count; ++panel) {
      const Element* next = from + panel * Width + kAhead * inner_stride;
      __builtin_prefetch(next);
      __builtin_prefetch(next + Width - 1);  // on another line, where rows begin within one
      copy_lanes<Width>(from + panel * Width, panels + panel * Width * inner);
    }
  }
}

/// The k are neighbours in memory: squares of four by four are transposed in registers.
template <typename Element>
ATOLL_INLINE void transpose_four(const Element* from, Index lane_stride, Index width, float* to) {
  const Quad r0 = four(from);
  const Quad r1 = four(from + lane_stride);
  const Quad r2 = four(from + 2 * lane_stride);
  const Quad r3 = four(from + 3 * lane_stride);
  const Quad low01 = __builtin_shuffle(r0, r1, IntQuad{0, 4, 1, 5});
  const Quad high01 = __builtin_shuffle(r0, r1, IntQuad{2, 6, 3, 7});
  const Quad low23 = __builtin_shuffle(r2, r3, IntQuad{0, 4, 1, 5});
  const Quad high23 = __builtin_shuffle(r2, r3, IntQuad{2, 6, 3, 7});
  store_four(to, __builtin_shuffle(low01, low23, IntQuad{0, 1, 4, 5}));
  store_four(to + width, __builtin_shuffle(low01, low23, IntQuad{2, 3, 6, 7}));
  store_four(to + 2 * width, __builtin_shuffle(high01, high23, IntQuad{0, 1, 4, 5}));
  store_four(to + 3 * width, __builtin_shuffle(high01, high23, IntQuad{2, 3, 6, 7}));
}

template <Index Width, typename Element>
void transpose_panel(const Element* from, Index lane_stride, Index inner, float* panel) {
  constexpr Index kSquares = Width / 4 * 4;
  const Index whole = inner / 4 * 4;
  for (Index k = 0; k < whole; k += 4) {
    for (Index lane = 0; lane < kSquares; lane += 4) {
      transpose_four(from + lane * lane_stride + k, lane_stride, Width, panel + k * Width + lane);
    }
  }
  for (Index lane = 0; lane < Width; ++lane) {
    for (Index k = lane < kSquares ? whole : 0; k < inner; ++k) {
      panel[k * Width + lane] = at(from + lane * lane_stride + k);
    }
  }
}

/// Any strides, any number of lanes; what is missing becomes zero.
template <Index Width, typename Element>
void gather_panel(const Element* from, const PanelSource& source, Index lanes, float* panel) {
  for (Index lane = 0; lane < Width; ++lane) {
    for (Index k = 0; k < source.inner; ++k) {
      panel[k * Width + lane] =
          lane < lanes ? at(from + lane * source.lane_stride + k * source.inner_stride) : 0;
    }
  }
}

template <Index Width, typename Element>
void pack(const PanelSource& source, float* panels) {
  const Element* from = static_cast<const Element*>(source.from.data);
  const Index whole = source.lanes / Width;
  const Index size = Width * source.inner;
  if (source.lane_stride == 1) {
    copy_panels<Width>(from, source.inner_stride, source.inner, whole, panels);
  } else {
    for (Index panel = 0; panel < whole; ++panel) {
      const Element* first = from + panel * Width * source.lane_stride;
      if (source.inner_stride == 1) {
        transpose_panel<Width>(first, source.lane_stride, source.inner, panels + panel * size);
      } else {
        gather_panel<Width>(first, source, Width, panels + panel * size);
      }
    }
  }
  if (whole * Width < source.lanes) {
    gather_panel<Width>(from + whole * Width * source.lane_stride, source,
                        source.lanes - whole * Width, panels + whole * size);
  }
}

template <Index Width>
void pack_any(const PanelSource& source, float* panels) {
  source.from.is_bf16 ? pack<Width, std::uint16_t>(source, panels)
                      : pack<Width, float>(source, panels);
}

}  // namespace

extern const MicroKernels kMicroKernels;
const MicroKernels kMicroKernels = {ATOLL_ISA_NAME,     kRows,    kColumns, pack_any<kRows>,
                                    pack_any<kColumns>, multiply, finish};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
