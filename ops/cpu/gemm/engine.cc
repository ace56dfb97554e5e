#include "ops/cpu/gemm/engine.h"

#include <algorithm>

#include "ops/cpu/gemm/epilogue.h"

// One operand is packed beforehand by all workers together and shared by all tiles: the one of
// which the tiles reread most. Of the other, each tile packs what it needs into memory of its own,
// small enough to stay in the second-level cache, or reads it where it lies. A weight gradient,
// whose operands are both transposed to the sum, shares nothing: its tiles are columns, which the
// first rows of a tile pack while they multiply, and the left operand is read where it lies.
//
// Roads that failed: packing both operands of a weight gradient beforehand sends 12 MB of
// activations through memory twice more (6 % of the product's time), and packing what a tile needs
// before it multiplies waits for memory (5 %); keeping packed weights between products would save
// 0.7 %, which does not pay for the danger of a stale copy.

namespace reef::ops::cpu {

namespace {

/// K is cut into equal blocks of at most this: a panel of the right operand then fills three
/// quarters of a first-level cache of 32 KiB, and a width of 384 needs one block.
constexpr Index kInner = 384;
/// Micro-kernels whose rows of the left operand stay in the second-level cache (96 KiB to 200 KiB).
constexpr Index kCachedRows = 16;
/// Floats of the shared operand packed at once, which bounds scratch; at least kLeastShared lanes.
constexpr Index kSharedFloats = Index{8} << 20;
constexpr Index kLeastShared = 384;
/// Panels packed by one task.
constexpr Index kPackPanels = 8;

Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }
Index round_up(Index a, Index b) { return ceil_div(a, b) * b; }

ConstElements elements_of(const Operand& operand, Index offset) {
  if (operand.dtype == DType::kBF16) {
    return {static_cast<const std::uint16_t*>(operand.data) + offset, true};
  }
  return {static_cast<const float*>(operand.data) + offset, false};
}

float* floats(const std::shared_ptr<std::byte>& block) {
  return reinterpret_cast<float*>(block.get());
}

/// An operand with its roles named: lanes are rows of a or columns of b.
struct Side {
  const Operand& operand;
  Index lanes, lane_stride, inner_stride;
  Index width;  ///< lanes in a panel
  void (*pack)(const PanelSource&, float*);

  void pack_block(Index first_lane, Index count, Index k, Index inner, float* panels) const {
    pack({elements_of(operand, first_lane * lane_stride + k * inner_stride), lane_stride,
          inner_stride, count, inner},
         panels);
  }
};

class Multiplication {
 public:
  Multiplication(const MicroKernels& kernels, const Workers& workers, const MatrixProduct& product,
                 const Cut& cut)
      : kernels_(kernels),
        workers_(workers),
        p_(product),
        cut_(cut),
        left_{p_.a, p_.rows, p_.a.row_stride, p_.a.column_stride, kernels.rows, kernels.pack_rows},
        right_{p_.b,
               p_.columns,
               p_.b.column_stride,
               p_.b.row_stride,
               kernels.columns,
               kernels.pack_columns},
        blocks_(std::max<Index>(1, ceil_div(p_.inner, kInner))),
        inner_(ceil_div(p_.inner, blocks_)) {}

  void run() {
    if (cut_.shared == Shared::kNone) {
      run_tiles(0, p_.rows, nullptr);
      return;
    }
    const Side& shared = cut_.shared == Shared::kLeft ? left_ : right_;
    const Index unit = std::max<Index>(kLeastShared, kSharedFloats / std::max<Index>(1, p_.inner));
    const Index most = round_up(unit, shared.width);
    const Index padded = std::min(most, round_up(shared.lanes, shared.width));
    const auto memory = scratch(padded * p_.inner);
    for (Index first = 0; first < shared.lanes; first += most) {
      const Index count = std::min(most, shared.lanes - first);
      pack_shared(shared, first, count, floats(memory));
      run_tiles(first, count, floats(memory));
    }
  }

 private:
  struct Range {
    Index first, count;
  };

  std::shared_ptr<std::byte> scratch(Index elements) const {
    return workers_.pool.allocate(static_cast<std::size_t>(elements) * sizeof(float));
  }
  Range inner_block(Index block) const {
    const Index first = block * inner_;
    return {first, std::min(inner_, p_.inner - first)};
  }

  void pack_shared(const Side& side, Index first, Index count, float* memory) const {
    const Index lanes = kPackPanels * side.width;
    const Index groups = ceil_div(count, lanes);
    const Index padded = round_up(count, side.width);
    workers_.run(static_cast<std::size_t>(groups * blocks_), [&](std::size_t task) {
      const Range k = inner_block(static_cast<Index>(task) / groups);
      const Index lane = static_cast<Index>(task) % groups * lanes;
      side.pack_block(first + lane, std::min(lanes, count - lane), k.first, k.count,
                      memory + k.first * padded + lane * k.count);
    });
  }

  /// The tiles over the shared lanes [first, first + count).
  void run_tiles(Index first, Index count, float* shared) const {
    const Index padded = round_up(count, (cut_.shared == Shared::kLeft ? left_ : right_).width);
    if (cut_.shared != Shared::kRight) {
      const Index width = cut_.columns;
      workers_.run(static_cast<std::size_t>(ceil_div(p_.columns, width)), [&](std::size_t task) {
        const Index column = static_cast<Index>(task) * width;
        tile({first, count}, {column, std::min(width, p_.columns - column)}, shared, padded, 0);
      });
      return;
    }
    const Index height = cut_.rows;
    const Index width = std::min(cut_.columns, count);
    const Index across = ceil_div(count, width);
    workers_.run(static_cast<std::size_t>(ceil_div(p_.rows, height) * across),
                 [&](std::size_t task) {
                   const Index row = static_cast<Index>(task) / across * height;
                   const Index column = static_cast<Index>(task) % across * width;
                   tile({row, std::min(height, p_.rows - row)},
                        {first + column, std::min(width, count - column)}, shared, padded, column);
                 });
  }

  /// `shared` holds `padded` lanes, of which this tile begins at `lane`.
  void tile(Range rows, Range columns, float* shared, Index padded, Index lane) const {
    const bool shares_left = cut_.shared == Shared::kLeft;
    const bool shares_right = cut_.shared == Shared::kRight;
    const Side& own = shares_right ? left_ : right_;
    const Range own_range = shares_right ? rows : columns;
    const bool packs = !shares_right || !cut_.direct;
    const auto packed = packs ? scratch(round_up(own_range.count, own.width) * inner_) : nullptr;
    const bool aside = p_.c.dtype != DType::kF32;
    const auto sums_memory = aside ? scratch(rows.count * columns.count) : nullptr;
    float* c = static_cast<float*>(p_.c.data) + rows.first * p_.c.row_stride + columns.first;
    float* sums = aside ? floats(sums_memory) : c;
    const Index sums_stride = aside ? columns.count : p_.c.row_stride;
    const Finish finish = finish_of(p_, rows.first, columns.first, sums, sums_stride);
    for (Index block = 0; block < blocks_; ++block) {
      const Range k = inner_block(block);
      const bool packs_as_it_multiplies = cut_.shared == Shared::kNone;
      if (packs_as_it_multiplies) {
        pack_ragged(columns, k, floats(packed));
      } else if (packs) {
        own.pack_block(own_range.first, own_range.count, k.first, k.count, floats(packed));
      }
      float* common = shared == nullptr ? nullptr : shared + k.first * padded + lane * k.count;
      const bool last = block + 1 == blocks_ && !is_plain(p_);
      multiply_rows(
          {.rows = rows.count,
           .columns = columns.count,
           .inner = k.count,
           .a = shares_left   ? panel_rows(common, k.count)
                : cut_.direct ? rows_where_they_lie(rows.first, k.first)
                              : panel_rows(floats(packed), k.count),
           .b = shares_right ? common : floats(packed),
           .b_source = packs_as_it_multiplies ? right_floats(k.first, columns.first) : nullptr,
           .b_source_stride = p_.b.row_stride,
           .sums = sums,
           .sums_stride = sums_stride,
           .accumulate = block > 0 || p_.accumulate,
           .finish = last ? &finish : nullptr,
           .finish_row = 0});
    }
  }

  /// The last columns, which fill no panel.
  void pack_ragged(Range columns, Range k, float* panels) const {
    const Index whole = columns.count / right_.width * right_.width;
    if (whole == columns.count) return;
    right_.pack_block(columns.first + whole, columns.count - whole, k.first, k.count,
                      panels + whole * k.count);
  }
  LeftRows panel_rows(const float* panels, Index inner) const {
    return {panels, 1, kernels_.rows, kernels_.rows * inner};
  }
  LeftRows rows_where_they_lie(Index row, Index k) const {
    const float* first =
        static_cast<const float*>(p_.a.data) + row * p_.a.row_stride + k * p_.a.column_stride;
    return {first, p_.a.row_stride, p_.a.column_stride, kernels_.rows * p_.a.row_stride};
  }
  const float* right_floats(Index k, Index column) const {
    return static_cast<const float*>(p_.b.data) + k * p_.b.row_stride + column;
  }

  /// In groups of rows of the left operand that stay in the second-level cache.
  void multiply_rows(const Block& whole) const {
    const Index height = kCachedRows * kernels_.rows;
    for (Index row = 0; row < whole.rows; row += height) {
      Block block = whole;
      block.rows = std::min(height, whole.rows - row);
      block.a.data += row / kernels_.rows * whole.a.group_stride;
      block.b_source = row == 0 ? whole.b_source : nullptr;
      block.sums += row * whole.sums_stride;
      block.finish_row = row;
      kernels_.multiply(block);
    }
  }

  const MicroKernels& kernels_;
  const Workers& workers_;
  const MatrixProduct& p_;
  const Cut cut_;
  const Side left_, right_;
  const Index blocks_, inner_;
};

}  // namespace

void Workers::run(std::size_t tasks, TaskRef task) const {
  if (context != nullptr) {
    context->parallel_for(tasks, task);
    return;
  }
  for (std::size_t i = 0; i < tasks; ++i) task(i);
}

Cut cut_of(const MicroKernels& kernels, const MatrixProduct& product, const Tiling& tiling) {
  const Operand& a = product.a;
  const Operand& b = product.b;
  const bool floats = a.dtype == DType::kF32;
  if (floats && a.column_stride == 1 && a.row_stride != 0) {
    return {true, Shared::kRight, tiling.rows * kernels.rows, tiling.columns * kernels.columns};
  }
  if (floats && a.row_stride == 1 && b.dtype == DType::kF32 && b.column_stride == 1) {
    return {true, Shared::kNone, product.rows, tiling.packed_columns * kernels.columns};
  }
  if (product.rows < product.columns) {
    return {false, Shared::kLeft, product.rows, tiling.packed_columns * kernels.columns};
  }
  // A tile that packs its rows takes all columns, so that they are packed once.
  return {false, Shared::kRight, tiling.packed_rows * kernels.rows, product.columns};
}

void multiply(const MicroKernels& kernels, const Workers& workers, const MatrixProduct& product,
              const Tiling& tiling) {
  if (product.rows == 0 || product.columns == 0) return;
  Multiplication(kernels, workers, product, cut_of(kernels, product, tiling)).run();
}

}  // namespace reef::ops::cpu
