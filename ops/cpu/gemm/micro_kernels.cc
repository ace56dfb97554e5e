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

/// How many k ahead memory is fetched that the processor's prefetcher does not follow: rows that
/// are pages apart.
constexpr Index kAhead = 16;
/// Floats in a cache line.
constexpr Index kLine = 16;

/// The right operand's columns of a block: a panel, and where it is to be made from, or null.
struct Panel {
  float* data;
  const float* source;
  Index source_stride;
};

/// sums (Rows, kColumns) = or += a b, with the rows of one k as neighbours, or the k of one row;
/// `Makes` the panel on the way, which costs next to nothing beside the multiply-adds.
template <Index Rows, bool RowsNeighbours, bool Makes>
void multiply_micro(Index inner, const LeftRows& left_rows, const Panel& panel, float* sums,
                    Index sums_stride, bool accumulate) {
  Vec sum[Rows][kVectors];
  ATOLL_UNROLL for (Index row = 0; row < Rows; ++row) {
    ATOLL_UNROLL for (Index v = 0; v < kVectors; ++v) sum[row][v] = Vec{};
    __builtin_prefetch(sums + row * sums_stride, 1);
  }
  const float* a = left_rows.data;
  const Index a_stride = RowsNeighbours ? left_rows.inner_stride : left_rows.row_stride;
  float* b = panel.data;
  const float* source = panel.source;
#pragma GCC unroll 4
  for (Index k = 0; k < inner; ++k) {
    Vec right[kVectors];
    if constexpr (Makes) {
      const float* next = source + kAhead * panel.source_stride;
      __builtin_prefetch(next);
      __builtin_prefetch(next + kColumns - 1);
      ATOLL_UNROLL for (Index v = 0; v < kVectors; ++v) {
        right[v] = load(source + v * kLanes);
        store(b + v * kLanes, right[v]);
      }
      source += panel.source_stride;
    } else {
      ATOLL_UNROLL for (Index v = 0; v < kVectors; ++v) right[v] = load(b + v * kLanes);
    }
    if constexpr (RowsNeighbours) {
      const float* next = a + kAhead * a_stride;
      __builtin_prefetch(next);
      __builtin_prefetch(next + Rows - 1);
    } else if (k % kLine == 0) {  // what the next rows will read first
      ATOLL_UNROLL for (Index row = 0; row < Rows; ++row)
          __builtin_prefetch(a + left_rows.group_stride + row * a_stride);
    }
    ATOLL_UNROLL for (Index row = 0; row < Rows; ++row) {
      const Vec left = all(RowsNeighbours ? a[row] : a[row * a_stride]);
      ATOLL_UNROLL for (Index v = 0; v < kVectors; ++v) sum[row][v] += left * right[v];
    }
    a += RowsNeighbours ? a_stride : 1;
    b += kColumns;
  }
  ATOLL_UNROLL for (Index row = 0; row < Rows; ++row) {
    ATOLL_UNROLL for (Index v = 0; v < kVectors; ++v) {
      float* at = sums + row * sums_stride + v * kLanes;
      store(at, accumulate ? load(at) + sum[row][v] : sum[row][v]);
    }
  }
}

using Micro = void (*)(Index, const LeftRows&, const Panel&, float*, Index, bool);

/// multiply_micro for 1 to kRows rows, so that the last rows of a block cost what they are.
template <bool RowsNeighbours, bool Makes>
struct Micros {
  Micro by_rows[kRows + 1] = {};
  constexpr Micros() { fill<kRows>(); }
  template <Index Rows>
  constexpr void fill() {
    by_rows[Rows] = multiply_micro<Rows, RowsNeighbours, Makes>;
    if constexpr (Rows > 1) fill<Rows - 1>();
  }
};
template <bool RowsNeighbours, bool Makes>
constexpr Micros<RowsNeighbours, Makes> kMicros;

const Micro* micros_of(bool rows_neighbours, bool makes) {
  if (rows_neighbours) return makes ? kMicros<true, true>.by_rows : kMicros<true, false>.by_rows;
  return makes ? kMicros<false, true>.by_rows : kMicros<false, false>.by_rows;
}

/// For the last panel's columns: a whole micro-kernel aside, of which `columns` are kept.
void multiply_edge(Micro micro, Index rows, Index columns, const Block& block, const LeftRows& a,
                   const Panel& panel, float* sums) {
  float aside[kRows * kColumns];
  micro(block.inner, a, panel, aside, kColumns, false);
  for (Index row = 0; row < rows; ++row) {
    for (Index column = 0; column < columns; ++column) {
      float* at = sums + row * block.sums_stride + column;
      const float value = aside[row * kColumns + column];
      *at = block.accumulate ? *at + value : value;
    }
  }
}

void multiply(const Block& block) {
  const bool rows_neighbours = block.a.row_stride == 1;
  const Micro* reads = micros_of(rows_neighbours, false);
  const Micro* makes = block.b_source != nullptr ? micros_of(rows_neighbours, true) : reads;
  for (Index column = 0; column < block.columns; column += kColumns) {
    const Index left = block.columns - column;
    const Index columns = left < kColumns ? left : kColumns;
    LeftRows a = block.a;
    const float* source = block.b_source == nullptr ? nullptr : block.b_source + column;
    const Panel panel{block.b + column * block.inner, source, block.b_source_stride};
    for (Index row = 0; row < block.rows; row += kRows, a.data += a.group_stride) {
      const Index rows = block.rows - row < kRows ? block.rows - row : kRows;
      float* sums = block.sums + row * block.sums_stride + column;
      if (columns == kColumns) {
        (row == 0 ? makes : reads)[rows](block.inner, a, panel, sums, block.sums_stride,
                                         block.accumulate);
      } else {
        multiply_edge(reads[rows], rows, columns, block, a, panel, sums);
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
/// memory is read in the longest runs there are.
template <Index Width, typename Element>
void copy_panels(const Element* from, Index inner_stride, Index inner, Index count, float* panels) {
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
