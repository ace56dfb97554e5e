#include "ops/cpu/scatter.h"

#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/served.h"
#include "ops/cpu/tiles.h"
#include "ops/primitive/memory.h"

namespace reef::ops::cpu {

namespace {

/// With as many tasks no workers are idle for long.
constexpr Index kTasks = 8;
/// Narrower rows cost no more to add than to look up, which every range of rows does again.
constexpr Index kNarrow = 16;

/// Rows of the result that one task sums.
Index rows_a_range(Index outer, Index rows, Index inner) {
  if (outer >= kTasks || inner < kNarrow) return std::max<Index>(1, rows);
  return std::clamp<Index>((rows + kTasks - 1) / kTasks, 1, kVocabularyRows);
}

float value_of(float x) { return x; }
double value_of(double x) { return x; }
float value_of(BF16 x) { return primitive::to_value(primitive::BF16{x.bits}); }
float value_of(F16 x) { return primitive::to_value(primitive::F16{x.bits}); }

}  // namespace

template <typename T>
void add_to(Index n, const T* row, Sum<T>* sum) {
  if constexpr (!std::is_same_v<T, double>) {
    if (n >= kNarrow) return vector_kernels().add_to(element_of(DTypeOf<T>::value), n, row, sum);
  }
  for (Index i = 0; i < n; ++i) sum[i] += value_of(row[i]);
}

// Each task owns a range of rows of the result and reads all indices, which costs one comparison
// each.
template <typename T>
void sum_rows_at(Context& context, const Indices& indices, const AxisView& source, const T* values,
                 Index rows, Sum<T>* sums) {
  const auto [outer, n, inner] = source;
  const Index range = rows_a_range(outer, rows, inner);
  const Index ranges = (rows + range - 1) / range;
  for_tiles(context, outer * ranges, 1, [=, n = n, inner = inner](Index task, Index) {
    const Index first = task % ranges * range;
    const Index count = std::min(range, rows - first);
    const T* from = values + task / ranges * n * inner;
    Sum<T>* to = sums + (task / ranges * rows + first) * inner;
    std::fill_n(to, count * inner, Sum<T>{});
    for (Index i = 0; i < n; ++i) {
      const Index row = indices[i] - first;
      if (row >= 0 && row < count) add_to(inner, from + i * inner, to + row * inner);
    }
  });
}

// Each task owns columns of the result, so that every index is read once.
template <typename T>
void sum_elements_at(Context& context, const Indices& indices, const AxisView& source,
                     const T* values, Index rows, Sum<T>* sums) {
  const auto [outer, n, inner] = source;
  const Index tiles = (inner + kColumns - 1) / kColumns;
  for_tiles(context, outer * tiles, 1, [=, n = n, inner = inner](Index task, Index) {
    const Index column = task % tiles * kColumns;
    const Index count = std::min(kColumns, inner - column);
    Sum<T>* to = sums + task / tiles * rows * inner + column;
    const Index runs = count == inner ? 1 : rows;  // of zeros: whole rows are one
    const Index run = count == inner ? rows * inner : count;
    for (Index i = 0; i < runs; ++i) std::fill_n(to + i * inner, run, Sum<T>{});
    for (Index i = 0; i < n; ++i) {
      const Index at = (task / tiles * n + i) * inner + column;
      for (Index k = 0; k < count; ++k) {
        to[indices[at + k] * inner + k] += value_of(values[at + k]);
      }
    }
  });
}

namespace {

template <typename T>
using SumAt = void (*)(Context&, const Indices&, const AxisView&, const T*, Index rows, Sum<T>*);

/// Sums of 16-bit floats are rounded once, when they are complete.
template <typename T>
void sum_into(const Call& call, SumAt<T> sum_at) {
  const Tensor& source = call.in[1];
  const Tensor& out = call.out[0];
  constexpr DType kSums = DTypeOf<Sum<T>>::value;
  std::array<Tensor, 1> result{out};
  const Tensor sums =
      out.dtype() == kSums ? out : Tensor::empty(call.context.pool(), kSums, out.shape());
  sum_at(call.context, Indices(call.in[0], call.attributes.rows),
         around_axis(source.shape(), call.attributes.axis), source.data<T>(), call.attributes.rows,
         sums.data<Sum<T>>());
  if (sums.shares(out)) return;
  Attributes attributes;
  attributes.to = out.dtype();
  run(call.context, Op::kCast, std::array{sums}, result, attributes);
}

void index_add(const Call& call) {
  with_floating(call.in[1].dtype(),
                [&](auto zero) { sum_into<decltype(zero)>(call, sum_rows_at<decltype(zero)>); });
}

void scatter_add(const Call& call) {
  with_floating(call.in[1].dtype(), [&](auto zero) {
    sum_into<decltype(zero)>(call, sum_elements_at<decltype(zero)>);
  });
}

constexpr std::initializer_list<DType> kIndex = {DType::kI32, DType::kI64};
constexpr Layout kPlain = Layout::kRowMajor;

constexpr Served kServed[] = {
    {Op::kIndexAdd, index_add, kPlain, kIndex},
    {Op::kScatterAdd, scatter_add, kPlain, kIndex},
};

}  // namespace

#define ATOLL_SUMS_OF(T)                                                                          \
  template void add_to(Index, const T*, Sum<T>*);                                                 \
  template void sum_rows_at(Context&, const Indices&, const AxisView&, const T*, Index, Sum<T>*); \
  template void sum_elements_at(Context&, const Indices&, const AxisView&, const T*, Index,       \
                                Sum<T>*);
ATOLL_SUMS_OF(float)
ATOLL_SUMS_OF(double)
ATOLL_SUMS_OF(BF16)
ATOLL_SUMS_OF(F16)
#undef ATOLL_SUMS_OF

std::span<const Served> scatter_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
