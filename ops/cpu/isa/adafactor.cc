// Compiled once per instruction set with ATOLL_ISA naming it; see ops/primitive/target.h.

#include "ops/cpu/isa/adafactor.h"

#include "ops/primitive/runs.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;

using Factors = AdafactorFactors;
using Doubles = Vec<double>;

constexpr Index kChunk = 512;

/// Calls body(first element, column, count, gradients) for the pieces of one row of a tile.
template <typename T, typename Body>
void over_row(const FactoredUpdate& op, const FactoredTile& tile, Index row, Body body) {
  T grads[kChunk];
  const Index end = tile.column + tile.columns;
  for (Index column = tile.column; column < end; column += kChunk) {
    const Index count = end - column < kChunk ? end - column : kChunk;
    const Index at = row * op.columns + column;
    body(at, column, count,
         values_of(op.grad_element, element_at(op.grad_element, op.grad, at), count, grads));
  }
}

/// What a row's columns are multiplied by to become second moments.
template <typename T>
T row_factor(const FactoredUpdate& op, Index row, double total) {
  if (op.row_states == nullptr) return 1;
  return static_cast<T>(static_cast<const T*>(op.row_states)[row] / total);
}

template <typename T>
void add_squares_as(const Factors& f, const FactoredUpdate& op, const FactoredTile& tile,
                    double* column_sums) {
  for (Index j = 0; j < tile.columns; ++j) column_sums[tile.column + j] = 0;
  for (Index row = tile.row; row < tile.row + tile.rows; ++row) {
    Doubles sum{};
    over_row<T>(op, tile, row, [&](Index, Index column, Index count, const T* grad) {
      double* sums = column_sums + column;
      const auto square = [&f](const Vec<T>& x) __attribute__((always_inline)) {
        const Vec<T> g = x * T(f.grad_scale);
        return convert<double>(g * g + T(f.epsilon));
      };
      over(
          count,
          [&](Index i) {
            const Doubles squares = square(load<Vec<T>>(grad + i));
            sum += squares;
            store(sums + i, load<Doubles>(sums + i) + squares);
          },
          [&](Index i, Index left) {
            const Doubles squares = select(first_lanes<double>(left),
                                           square(load_part(grad + i, left, T(0))), Doubles{});
            sum += squares;
            store_part(sums + i, left, load_part(sums + i, left, 0.0) + squares);
          });
    });
    if (op.row_states == nullptr) continue;
    T& state = static_cast<T*>(op.row_states)[row];
    const double row_sum = fold(sum, [](double a, double b) { return a + b; });
    state = static_cast<T>(f.beta2 * state + f.one_minus_beta2 * row_sum);
  }
}

template <typename T>
void move_columns_as(const Factors& f, const FactoredUpdate& op, Index first, Index count,
                     const double* sums, Index parts) {
  T* states = static_cast<T*>(op.column_states) + first;
  const auto moved = [&f](const Vec<T>& state, const Doubles& sum) __attribute__((always_inline)) {
    return convert<T>(convert<double>(state) * f.beta2 + sum * f.one_minus_beta2);
  };
  over(
      count,
      [&](Index i) {
        Doubles sum{};
        for (Index k = 0; k < parts; ++k) sum += load<Doubles>(sums + k * op.columns + first + i);
        store(states + i, moved(load<Vec<T>>(states + i), sum));
      },
      [&](Index i, Index left) {
        Doubles sum{};
        for (Index k = 0; k < parts; ++k) {
          sum += load_part(sums + k * op.columns + first + i, left, 0.0);
        }
        store_part(states + i, left, moved(load_part(states + i, left, T(0)), sum));
      });
}

template <typename T>
double square_steps_as(const Factors& f, const FactoredUpdate& op, const FactoredTile& tile,
                       double total) {
  Doubles sum{};
  for (Index row = tile.row; row < tile.row + tile.rows; ++row) {
    const T factor = row_factor<T>(op, row, total);
    over_row<T>(op, tile, row, [&](Index, Index column, Index count, const T* grad) {
      const T* states = static_cast<const T*>(op.column_states) + column;
      const auto add = [&](const Vec<T>& x, const Vec<T>& state) __attribute__((always_inline)) {
        const Vec<T> g = x * T(f.grad_scale);
        sum += convert<double>(g * g / (state * factor));
      };
      over(
          count, [&](Index i) { add(load<Vec<T>>(grad + i), load<Vec<T>>(states + i)); },
          [&](Index i, Index left) {
            add(load_part(grad + i, left, T(0)), load_part(states + i, left, T(1)));
          });
    });
  }
  return fold(sum, [](double a, double b) { return a + b; });
}

template <typename T>
void step_as(const Factors& f, const FactoredUpdate& op, const FactoredTile& tile, double total,
             double rate) {
  for (Index row = tile.row; row < tile.row + tile.rows; ++row) {
    const T factor = row_factor<T>(op, row, total);
    over_row<T>(op, tile, row, [&](Index at, Index column, Index count, const T* grad) {
      T* master = static_cast<T*>(op.master) + at;
      const T* states = static_cast<const T*>(op.column_states) + column;
      const auto moved = [&](const Vec<T>& value, const Vec<T>& x, const Vec<T>& state)
          __attribute__((always_inline)) {
        const Vec<T> step = x * T(f.grad_scale) / sqrt(state * factor);
        return value * T(f.decay) - step * T(rate);
      };
      over(
          count,
          [&](Index i) {
            store(master + i, moved(load<Vec<T>>(master + i), load<Vec<T>>(grad + i),
                                    load<Vec<T>>(states + i)));
          },
          [&](Index i, Index left) {
            store_part(master + i, left,
                       moved(load_part(master + i, left, T(0)), load_part(grad + i, left, T(0)),
                             load_part(states + i, left, T(1))));
          });
      if (op.copy == nullptr) return;
      store_elements(op.copy_element, master, 1, count, element_at(op.copy_element, op.copy, at));
    });
  }
}

/// body(T()) for the master's type T.
template <typename Body>
auto by_master(const FactoredUpdate& op, Body body) {
  return op.master_element == Element::kF64 ? body(double()) : body(float());
}

void add_squares(const Factors& f, const FactoredUpdate& op, const FactoredTile& tile,
                 double* column_sums) {
  return by_master(
      op, [&](auto zero) { return add_squares_as<decltype(zero)>(f, op, tile, column_sums); });
}
void move_columns(const Factors& f, const FactoredUpdate& op, Index first, Index count,
                  const double* sums, Index parts) {
  return by_master(op, [&](auto zero) {
    return move_columns_as<decltype(zero)>(f, op, first, count, sums, parts);
  });
}
double square_steps(const Factors& f, const FactoredUpdate& op, const FactoredTile& tile,
                    double total) {
  return by_master(op,
                   [&](auto zero) { return square_steps_as<decltype(zero)>(f, op, tile, total); });
}
void step(const Factors& f, const FactoredUpdate& op, const FactoredTile& tile, double total,
          double rate) {
  return by_master(op,
                   [&](auto zero) { return step_as<decltype(zero)>(f, op, tile, total, rate); });
}

}  // namespace

extern const AdafactorKernels kAdafactorKernels;
const AdafactorKernels kAdafactorKernels = {add_squares, move_columns, square_steps, step};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
