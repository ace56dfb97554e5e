// Compiled once per instruction set with ATOLL_ISA naming it; see ops/primitive/target.h.

#include "ops/cpu/isa/reduction.h"

#include "ops/primitive/folds.h"
#include "ops/primitive/runs.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;

/// Elements of a row, or columns, at once: a multiple of the lanes, small enough for the cache.
constexpr Index kChunk = 512;

constexpr Index shorter(Index a, Index b) { return a < b ? a : b; }

/// Calls body(row, column, columns, done) for the pieces of outputs [first, first + count): those
/// of one row of x's outer axis that fit a buffer. `done` outputs came before.
template <typename Body>
void over_columns(const Reduction& op, Index first, Index count, Body body) {
  for (Index done = 0; done < count;) {
    const Index column = (first + done) % op.inner;
    const Index columns = shorter(shorter(op.inner - column, count - done), kChunk);
    body((first + done) / op.inner, column, columns, first + done);
    done += columns;
  }
}

template <typename T>
const T* row_part(const Reduction& op, Index offset, Index count, T* buffer) {
  return values_of(op.element, element_at(op.element, op.x, offset), count, buffer);
}

template <typename A>
void write(const Reduction& op, Index at, Index count, const A* values) {
  store_elements(op.out_element, values, 1, count, element_at(op.out_element, op.out, at));
}

template <typename F, typename T, typename A = typename F::template Accumulator<T>>
A fold_row(const Reduction& op, Index row) {
  T buffer[kChunk];
  Vec<A> sum = all<Vec<A>>(F::template kNeutral<A>);
  const auto add = [&sum](const Vec<T>& x) __attribute__((always_inline)) {
    sum = F::combine(sum, F::map(convert<A>(x)));
  };
  for (Index done = 0; done < op.n; done += kChunk) {
    const Index count = shorter(kChunk, op.n - done);
    const T* x = row_part(op, row * op.n + done, count, buffer);
    over(
        count, [&](Index i) { add(load<Vec<T>>(x + i)); },
        [&](Index i, Index left) { add(load_part(x + i, left, F::template kNeutral<T>)); });
  }
  return fold(sum, [](A a, A b) { return F::combine(a, b); });
}

template <typename F, typename T, typename A = typename F::template Accumulator<T>>
void fold_rows(const Reduction& op, Index first, Index count) {
  A sums[kChunk];
  for (Index done = 0; done < count; done += kChunk) {
    const Index rows = shorter(kChunk, count - done);
    for (Index i = 0; i < rows; ++i) sums[i] = fold_row<F, T>(op, first + done + i);
    write(op, first + done, rows, sums);
  }
}

template <typename F, typename T, typename A = typename F::template Accumulator<T>>
void fold_columns(const Reduction& op, Index first, Index count) {
  over_columns(op, first, count, [&op](Index row, Index column, Index columns, Index at) {
    T buffer[kChunk];
    A sums[kChunk];
    for (A& sum : sums) sum = F::template kNeutral<A>;
    for (Index k = 0; k < op.n; ++k) {
      const T* x = row_part(op, (row * op.n + k) * op.inner + column, columns, buffer);
      const auto add = [&sums](Index i, const Vec<T>& value) __attribute__((always_inline)) {
        store(sums + i, F::combine(load<Vec<A>>(sums + i), F::map(convert<A>(value))));
      };
      over(
          columns, [&](Index i) { add(i, load<Vec<T>>(x + i)); },
          [&](Index i, Index left) { add(i, load_part(x + i, left, F::template kNeutral<T>)); });
    }
    write(op, at, columns, sums);
  });
}

template <typename T>
Index first_of_largest(const Reduction& op, Index row) {
  const T largest = fold_row<MaximumFold, T>(op, row);
  T buffer[kChunk];
  for (Index done = 0; done < op.n; done += kChunk) {
    const Index count = shorter(kChunk, op.n - done);
    const T* x = row_part(op, row * op.n + done, count, buffer);
    for (Index i = 0; i < count; ++i) {
      if (x[i] == largest || x[i] != x[i]) return done + i;
    }
  }
  return 0;
}

template <typename T>
void arg_maximum_rows(const Reduction& op, Index first, Index count) {
  for (Index row = first; row < first + count; ++row) {
    Index index = first_of_largest<T>(op, row);
    write(op, row, 1, &index);
  }
}

template <typename T>
void arg_maximum_columns(const Reduction& op, Index first, Index count) {
  over_columns(op, first, count, [&op](Index row, Index column, Index columns, Index at) {
    T buffer[kChunk];
    T best[kChunk];
    Index indices[kChunk] = {};
    for (Index k = 0; k < op.n; ++k) {
      const T* x = row_part(op, (row * op.n + k) * op.inner + column, columns, buffer);
      for (Index i = 0; i < columns; ++i) {
        const bool better = k == 0 || exceeds(x[i], best[i]);
        best[i] = better ? x[i] : best[i];
        indices[i] = better ? k : indices[i];
      }
    }
    write(op, at, columns, indices);
  });
}

template <typename F, typename T>
void fold_axis(const Reduction& op, Index first, Index count) {
  return op.inner == 1 ? fold_rows<F, T>(op, first, count) : fold_columns<F, T>(op, first, count);
}

template <typename T>
void run_as(Fold fold, const Reduction& op, Index first, Index count) {
  switch (fold) {
    case Fold::kSum:
      return fold_axis<SumFold, T>(op, first, count);
    case Fold::kSquareSum:
      return fold_axis<SquareSumFold, T>(op, first, count);
    case Fold::kMaximum:
      return fold_axis<MaximumFold, T>(op, first, count);
    case Fold::kMinimum:
      return fold_axis<MinimumFold, T>(op, first, count);
    case Fold::kArgMaximum:
      return op.inner == 1 ? arg_maximum_rows<T>(op, first, count)
                           : arg_maximum_columns<T>(op, first, count);
  }
}

void run(Fold fold, const Reduction& op, Index first, Index count) {
  visit_element(op.element, [&](auto type) {
    run_as<ComputeOf<typename decltype(type)::Is>>(fold, op, first, count);
  });
}

template <typename M, typename T = ComputeOf<M>>
Index first_above_in(const M* x, Index from, Index n, T bar) {
  for (; from + kLanes <= n; from += kLanes) {
    const Vec<T> v = load_value(x + from);
    if (any((v > bar) | (v != v))) break;
  }
  while (from < n && !exceeds(to_value(x[from]), bar)) ++from;
  return from;
}

Index first_above(Element element, const void* x, Index from, Index n, double bar) {
  if (bar != bar) return n;
  Index found = n;
  visit_element(element, [&](auto type) {
    using M = typename decltype(type)::Is;
    if constexpr (kIsFloat<ComputeOf<M>>) {
      found = first_above_in(static_cast<const M*>(x), from, n, static_cast<ComputeOf<M>>(bar));
    }
  });
  return found;
}

}  // namespace

extern const ReductionKernels kReductionKernels;
const ReductionKernels kReductionKernels = {run, first_above};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
