#include <algorithm>
#include <type_traits>

#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

/// Calls body with a value of the C++ type of a floating dtype.
template <typename Body>
void with_floating(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::kF32:
      return body(float{});
    case DType::kBF16:
      return body(BF16{});
    case DType::kF16:
      return body(F16{});
    case DType::kF64:
      return body(double{});
    default:
      CHECK(false) << "an embedding of " << name_of(dtype);
  }
}

template <typename T>
constexpr bool kIsHalf = std::is_same_v<T, BF16> || std::is_same_v<T, F16>;
/// What rows of T are added in: the dtype of the gradient of a table.
template <typename T>
using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <typename T>
void add_rows(Index n, const T* a, const T* b, T* out) {
  if constexpr (std::is_same_v<T, float>) {
    vector_kernels().add(n, a, b, out);
  } else if constexpr (kIsHalf<T>) {
    for (Index i = 0; i < n; ++i) out[i] = T::from(a[i].value() + b[i].value());
  } else {
    for (Index i = 0; i < n; ++i) out[i] = a[i] + b[i];
  }
}

template <typename T>
void add_to(Index n, const T* row, Sum<T>* sum) {
  if constexpr (kIsHalf<T>) {
    for (Index i = 0; i < n; ++i) sum[i] += row[i].value();
  } else {
    add_rows(n, sum, row, sum);
  }
}

template <typename T>
void look_up(const Call& call) {
  const Index length = call.in[0].shape()[1];
  const Index vocabulary = call.in[1].shape()[0];
  const Index columns = call.in[1].shape()[1];
  const std::int32_t* tokens = call.in[0].data<std::int32_t>();
  const T* table = call.in[1].data<T>();
  const T* positions = call.in.size() > 2 ? call.in[2].data<T>() : nullptr;
  T* out = call.out[0].data<T>();
  for_tiles(call.context, call.in[0].elements(), kRows, [&](Index first, Index count) {
    for (Index row = first; row < first + count; ++row) {
      CHECK(tokens[row] >= 0 && tokens[row] < vocabulary) << "token " << tokens[row];
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

// Each task owns a range of rows of a table and meets the tokens in order, so that the sum into a
// row has one order. Reading all tokens in every task costs one comparison each.
template <typename T>
void table_grad(const Call& call) {
  const Index rows = call.in[0].elements();
  const Index columns = call.in[1].shape()[2];
  const std::int32_t* tokens = call.in[0].data<std::int32_t>();
  const T* grad = call.in[1].data<T>();
  Sum<T>* table = call.out[0].data<Sum<T>>();
  for_tiles(call.context, call.out[0].shape()[0], kVocabularyRows, [&](Index first, Index count) {
    std::fill_n(table + first * columns, count * columns, Sum<T>{});
    for (Index row = 0; row < rows; ++row) {
      if (tokens[row] < first || tokens[row] >= first + count) continue;
      add_to(columns, grad + row * columns, table + tokens[row] * columns);
    }
  });
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
