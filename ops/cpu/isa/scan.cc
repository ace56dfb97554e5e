// Compiled once per instruction set with ATOLL_ISA naming it; see ops/primitive/target.h.

#include "ops/cpu/isa/scan.h"

#include "ops/primitive/folds.h"
#include "ops/primitive/runs.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;

constexpr Index kChunk = 512;

constexpr Index shorter(Index a, Index b) { return a < b ? a : b; }

template <typename A>
void scan_line(const Scan& op, Index line) {
  A values[kChunk];
  A sum = 0;
  for (Index done = 0; done < op.n; done += kChunk) {
    const Index count = shorter(kChunk, op.n - done);
    const Index at = line * op.n + (op.reverse ? op.n - done - count : done);
    load_elements(op.element, element_at(op.element, op.x, at), 1, count, values);
    for (Index i = 0; i < count; ++i) {
      A& value = values[op.reverse ? count - 1 - i : i];
      value = sum += value;
    }
    store_elements(op.element, values, 1, count, element_at(op.element, op.out, at));
  }
}

/// Columns [column, column + columns) of one (n, inner) block.
template <typename A>
void scan_columns(const Scan& op, Index block, Index column, Index columns) {
  A sums[kChunk] = {};
  A values[kChunk];
  for (Index k = 0; k < op.n; ++k) {
    const Index row = op.reverse ? op.n - 1 - k : k;
    const Index at = (block * op.n + row) * op.inner + column;
    load_elements(op.element, element_at(op.element, op.x, at), 1, columns, values);
    for (Index i = 0; i < columns; ++i) values[i] = sums[i] += values[i];
    store_elements(op.element, values, 1, columns, element_at(op.element, op.out, at));
  }
}

template <typename A>
void run_as(const Scan& op, Index first, Index count) {
  for (const Index end = first + count; first < end;) {
    if (op.inner == 1) {
      scan_line<A>(op, first++);
      continue;
    }
    const Index column = first % op.inner;
    const Index columns = shorter(shorter(op.inner - column, end - first), kChunk);
    scan_columns<A>(op, first / op.inner, column, columns);
    first += columns;
  }
}

void run(const Scan& op, Index first, Index count) {
  visit_element(op.element, [&](auto type) {
    using T = ComputeOf<typename decltype(type)::Is>;
    run_as<SumFold::Accumulator<T>>(op, first, count);
  });
}

}  // namespace

extern const ScanKernels kScanKernels;
const ScanKernels kScanKernels = {run};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
