// Adafactor (Shazeer and Stern 2018, arXiv 1804.04235) for many tensors at once.

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/cpu/isa/adafactor.h"
#include "ops/cpu/isa/reduction.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/layout.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

/// Bands of rows, at most, whose sums over columns are kept until they are added: they bound the
/// scratch, and are work for as many threads.
constexpr Index kMostBands = 64;

/// One tensor of the call. A vector is one row, cut along its columns.
struct Parameter {
  FactoredUpdate update;
  Index rows = 0;
  Index band_rows = 0;  ///< 0: a vector
  Index first_sum = 0;  ///< where its (bands, columns) sums begin
  double total = 0;     ///< of the row states
  double squares = 0;   ///< of the steps
  bool decays = true;

  bool is_matrix() const { return band_rows > 0; }
  Index elements() const { return rows * update.columns; }
  Index bands() const { return is_matrix() ? (rows + band_rows - 1) / band_rows : 1; }
};

Parameter parameter_of(const Call& call, std::size_t i) {
  const std::size_t count = call.in.size();
  const Tensor& grad = call.in[i];
  const Tensor& master = call.out[i];
  const bool is_matrix = grad.shape().rank() >= 2;
  Parameter p;
  p.decays = call.attributes.update.decays(i);
  p.rows = is_matrix ? grad.shape().rows() : 1;
  p.update.columns = is_matrix ? grad.shape().back() : grad.elements();
  p.update.grad_element = element_of(grad.dtype());
  p.update.grad = grad.raw();
  p.update.master_element = element_of(master.dtype());
  p.update.master = master.raw();
  for (const std::size_t group : {1, 2}) {
    CHECK(call.out[group * count + i].dtype() == master.dtype())
        << "state of another dtype than its master";
  }
  void* first = call.out[count + i].raw();
  p.update.row_states = is_matrix ? first : nullptr;
  p.update.column_states = is_matrix ? call.out[2 * count + i].raw() : first;
  if (call.out.size() == 4 * count) {
    p.update.copy_element = element_of(call.out[3 * count + i].dtype());
    p.update.copy = call.out[3 * count + i].raw();
  }
  if (is_matrix) {
    p.band_rows = std::max({Index{1}, kElements / std::max<Index>(1, p.update.columns),
                            (p.rows + kMostBands - 1) / kMostBands});
  }
  return p;
}

/// A tile of a parameter; of its squared steps `squares` is the sum.
struct Tile {
  std::size_t parameter;
  FactoredTile part;
  Index sums;  ///< where the sums over its rows begin
  double squares = 0;
};

/// One call's parameters, cut into tiles that all passes share, so that small tensors do not leave
/// workers idle. Kept by its thread: a step allocates nothing but what the pool recycles.
class Step {
 public:
  void run(const Call& call) {
    prepare(call);
    const auto memory =
        call.context.pool().allocate(static_cast<std::size_t>(sums_) * sizeof(double));
    auto* sums = reinterpret_cast<double*>(memory.get());
    call.context.parallel_for(tiles_.size(), [&](std::size_t i) {
      const Tile& tile = tiles_[i];
      kernels_.add_squares(factors(tile), update(tile), tile.part, sums + tile.sums);
    });
    move_columns(call, sums);
    for (Parameter& p : parameters_) p.total = total_of(p);
    call.context.parallel_for(tiles_.size(), [&](std::size_t i) {
      Tile& tile = tiles_[i];
      const double total = parameters_[tile.parameter].total;
      tile.squares = kernels_.square_steps(factors(tile), update(tile), tile.part, total);
    });
    for (const Tile& tile : tiles_) parameters_[tile.parameter].squares += tile.squares;
    call.context.parallel_for(tiles_.size(), [&](std::size_t i) {
      const Tile& tile = tiles_[i];
      const Parameter& p = parameters_[tile.parameter];
      const double mean_square = p.squares / static_cast<double>(p.elements());
      const double rate = call.attributes.update.lr / std::max(1.0, std::sqrt(mean_square));
      kernels_.step(factors(tile), update(tile), tile.part, p.total, rate);
    });
  }

 private:
  void prepare(const Call& call) {
    const Update& given = call.attributes.update;
    const double beta2 = 1 - std::pow(static_cast<double>(given.step), -0.8);
    undecayed_ = {given.grad_scale, 1, beta2, 1 - beta2, given.epsilon};
    decayed_ = undecayed_;
    decayed_.decay = 1 - static_cast<double>(given.lr) * given.weight_decay;
    parameters_.clear();
    tiles_.clear();
    sums_ = 0;
    for (std::size_t i = 0; i < call.in.size(); ++i) {
      if (call.in[i].elements() == 0) continue;
      parameters_.push_back(parameter_of(call, i));
      cut(parameters_.back());
    }
  }

  void cut(Parameter& p) {
    const std::size_t index = parameters_.size() - 1;
    const Index columns = p.update.columns;
    p.first_sum = sums_;
    if (p.is_matrix()) {
      for (Index row = 0; row < p.rows; row += p.band_rows) {
        const Index rows = std::min(p.band_rows, p.rows - row);
        tiles_.push_back({index, {row, rows, 0, columns}, sums_ + row / p.band_rows * columns});
      }
    } else {
      for (Index column = 0; column < columns; column += kElements) {
        tiles_.push_back({index, {0, 1, column, std::min(kElements, columns - column)}, sums_});
      }
    }
    sums_ += p.bands() * columns;
  }

  void move_columns(const Call& call, const double* sums) {
    for (const Parameter& p : parameters_) {
      for_tiles(call.context, p.update.columns, kElements, [&](Index first, Index count) {
        kernels_.move_columns(undecayed_, p.update, first, count, sums + p.first_sum, p.bands());
      });
    }
  }

  static double total_of(const Parameter& p) {
    if (!p.is_matrix()) return 0;
    double total = 0;
    reduction_kernels().run(Fold::kSum,
                            {.element = p.update.master_element,
                             .out_element = Element::kF64,
                             .x = p.update.row_states,
                             .out = &total,
                             .n = p.rows},
                            0, 1);
    return total;
  }

  const primitive::AdafactorFactors& factors(const Tile& tile) const {
    return parameters_[tile.parameter].decays ? decayed_ : undecayed_;
  }
  const FactoredUpdate& update(const Tile& tile) const {
    return parameters_[tile.parameter].update;
  }

  const AdafactorKernels& kernels_ = adafactor_kernels();
  primitive::AdafactorFactors decayed_, undecayed_;
  std::vector<Parameter> parameters_;
  std::vector<Tile> tiles_;
  Index sums_ = 0;  ///< of all parameters
};

}  // namespace

void adafactor(const Call& call) {
  thread_local Step step;
  step.run(call);
}

}  // namespace reef::ops::cpu
