#include <algorithm>
#include <type_traits>

#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/scatter.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

template <typename T>
void add_rows(Index n, const T* a, const T* b, T* out) {
  if constexpr (std::is_same_v<T, double>) {
    for (Index i = 0; i < n; ++i) out[i] = a[i] + b[i];
  } else {
    vector_kernels().add(element_of(DTypeOf<T>::value), n, a, b, out);
  }
}

template <typename T>
void look_up(const Call& call) {
  const Index length = call.in[0].shape()[1];
  const Index columns = call.in[1].shape()[1];
  const Indices tokens(call.in[0], call.in[1].shape()[0]);
  const T* table = call.in[1].data<T>();
  const T* positions = call.in.size() > 2 ? call.in[2].data<T>() : nullptr;
  T* out = call.out[0].data<T>();
  for_tiles(call.context, call.in[0].elements(), kRows, [&](Index first, Index count) {
    for (Index row = first; row < first + count; ++row) {
      const T* from = table + tokens[row] * columns;
      T* to = out + row * columns;
      if (positions == nullptr) {
        std::copy_n(from, columns, to);
      } else {
        add_rows(columns, from, positions + row % length * columns, to);
      }
    }
  });
}

template <typename T>
void table_grad(const Call& call) {
  const Index vocabulary = call.out[0].shape()[0];
  const AxisView rows{1, call.in[0].elements(), call.in[1].shape()[2]};
  sum_rows_at(call.context, Indices(call.in[0], vocabulary), rows, call.in[1].data<T>(), vocabulary,
              call.out[0].data<Sum<T>>());
}

template <typename T>
void positions_grad(const Call& call) {
  const Index rows = call.in[0].elements();
  const Index length = call.in[0].shape()[1];
  const Index columns = call.in[1].shape()[2];
  const T* grad = call.in[1].data<T>();
  Sum<T>* positions = call.out[1].data<Sum<T>>();
  for_tiles(call.context, call.out[1].shape()[0], kRows, [&](Index first, Index count) {
    std::fill_n(positions + first * columns, count * columns, Sum<T>{});
    for (Index position = first; position < std::min(first + count, length); ++position) {
      for (Index row = position; row < rows; row += length) {
        add_to(columns, grad + row * columns, positions + position * columns);
      }
    }
  });
}

}  // namespace

void embedding(const Call& call) {
  with_floating(call.in[1].dtype(), [&](auto zero) { look_up<decltype(zero)>(call); });
}

void embedding_grad(const Call& call) {
  with_floating(call.in[1].dtype(), [&](auto zero) {
    table_grad<decltype(zero)>(call);
    if (call.out.size() > 1) positions_grad<decltype(zero)>(call);
  });
}

}  // namespace reef::ops::cpu
