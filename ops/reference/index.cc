#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/reference/kernels.h"
#include "ops/reference/sums.h"
#include "ops/reference/types.h"

namespace reef::ops::reference {

namespace {

/// A contiguous tensor seen as (outer, extent, inner) around one axis.
struct Around {
  std::int64_t outer = 1, extent, inner = 1;

  Around(const Shape& shape, std::size_t axis) : extent(shape[axis]) {
    for (std::size_t i = 0; i < axis; ++i) outer *= shape[i];
    for (std::size_t i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
  std::int64_t at(std::int64_t o, std::int64_t e, std::int64_t i) const {
    return (o * extent + e) * inner + i;
  }
};

/// Element `i` of an index tensor, which must be within [0, extent).
std::int64_t index_at(const Tensor& index, std::int64_t i, std::int64_t extent) {
  const std::int64_t value =
      index.dtype() == DType::kI64 ? index.data<std::int64_t>()[i] : index.data<std::int32_t>()[i];
  CHECK(value >= 0 && value < extent) << "index " << value << " of " << extent;
  return value;
}

void copy_elements(const Tensor& from, std::int64_t from_at, const Tensor& to, std::int64_t to_at,
                   std::int64_t count) {
  std::memcpy(address(to, to_at), address(from, from_at),
              static_cast<std::size_t>(count) * size_of(to.dtype()));
}

}  // namespace

void embedding(const Call& call) {
  const Tensor& tokens = call.in[0];
  const Tensor& table = call.in[1];
  const std::int64_t length = tokens.shape()[1];
  const std::int64_t columns = table.shape()[1];
  for (std::int64_t i = 0; i < tokens.elements(); ++i) {
    const std::int64_t token = index_at(tokens, i, table.shape()[0]);
    for (std::int64_t j = 0; j < columns; ++j) {
      double value = get(table, token * columns + j);
      if (call.in.size() > 2) value += get(call.in[2], i % length * columns + j);
      set(call.out[0], i * columns + j, value);
    }
  }
}

void embedding_grad(const Call& call) {
  const Tensor& tokens = call.in[0];
  const Tensor& grad = call.in[1];
  const std::int64_t length = tokens.shape()[1];
  const std::int64_t columns = grad.shape()[2];
  Sums table(call.out[0].shape());
  for (std::int64_t i = 0; i < tokens.elements(); ++i) {
    const std::int64_t token = index_at(tokens, i, call.attributes.rows);
    for (std::int64_t j = 0; j < columns; ++j) {
      table.add(token * columns + j, get(grad, i * columns + j));
    }
  }
  table.store(call.out[0]);
  if (call.out.size() < 2) return;
  Sums positions(call.out[1].shape());
  for (std::int64_t i = 0; i < grad.elements(); ++i) {
    positions.add(i % (length * columns), get(grad, i));
  }
  positions.store(call.out[1]);
}

void index_select(const Call& call) {
  const Tensor& index = call.in[1];
  const Around x(call.in[0].shape(), call.attributes.axis);
  const Around y(call.out[0].shape(), call.attributes.axis);
  for (std::int64_t o = 0; o < y.outer; ++o) {
    for (std::int64_t e = 0; e < y.extent; ++e) {
      const std::int64_t from = x.at(o, index_at(index, e, x.extent), 0);
      copy_elements(call.in[0], from, call.out[0], y.at(o, e, 0), y.inner);
    }
  }
}

void index_add(const Call& call) {
  const Tensor& source = call.in[1];
  const Around from(source.shape(), call.attributes.axis);
  const Around to(call.out[0].shape(), call.attributes.axis);
  Sums sums(call.out[0].shape());
  for (std::int64_t o = 0; o < from.outer; ++o) {
    for (std::int64_t e = 0; e < from.extent; ++e) {
      const std::int64_t row = index_at(call.in[0], e, to.extent);
      for (std::int64_t i = 0; i < from.inner; ++i) {
        sums.add(to.at(o, row, i), get(source, from.at(o, e, i)));
      }
    }
  }
  sums.store(call.out[0]);
}

void gather(const Call& call) {
  const Around x(call.in[0].shape(), call.attributes.axis);
  const Around y(call.out[0].shape(), call.attributes.axis);
  for (std::int64_t o = 0; o < y.outer; ++o) {
    for (std::int64_t e = 0; e < y.extent; ++e) {
      for (std::int64_t i = 0; i < y.inner; ++i) {
        const std::int64_t row = index_at(call.in[1], y.at(o, e, i), x.extent);
        copy_elements(call.in[0], x.at(o, row, i), call.out[0], y.at(o, e, i), 1);
      }
    }
  }
}

void scatter_add(const Call& call) {
  const Tensor& source = call.in[1];
  const Around from(source.shape(), call.attributes.axis);
  const Around to(call.out[0].shape(), call.attributes.axis);
  Sums sums(call.out[0].shape());
  for (std::int64_t o = 0; o < from.outer; ++o) {
    for (std::int64_t e = 0; e < from.extent; ++e) {
      for (std::int64_t i = 0; i < from.inner; ++i) {
        const std::int64_t row = index_at(call.in[0], from.at(o, e, i), to.extent);
        sums.add(to.at(o, row, i), get(source, from.at(o, e, i)));
      }
    }
  }
  sums.store(call.out[0]);
}

namespace {

/// Whether a stands before b when the greatest is first; NaN is greater than all numbers.
template <typename T>
bool is_greater(T a, T b) {
  return a > b || (a != a && b == b);
}

}  // namespace

void top_k(const Call& call) {
  const std::int64_t columns = call.in[0].shape().back();
  const std::int64_t count = call.attributes.rows;
  with_real(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::vector<std::int32_t> places(static_cast<std::size_t>(columns));
    for (std::int64_t row = 0; row < call.in[0].shape().rows(); ++row) {
      const T* x = call.in[0].data<T>() + row * columns;
      for (std::int64_t j = 0; j < columns; ++j) {
        places[static_cast<std::size_t>(j)] = static_cast<std::int32_t>(j);
      }
      // Stable, so of equals the lower place stands first.
      std::stable_sort(places.begin(), places.end(),
                       [x](std::int32_t a, std::int32_t b) { return is_greater(x[a], x[b]); });
      for (std::int64_t j = 0; j < count; ++j) {
        const std::int32_t place = places[static_cast<std::size_t>(j)];
        call.out[0].data<T>()[row * count + j] = x[place];
        call.out[1].data<std::int32_t>()[row * count + j] = place;
      }
    }
  });
}

void arg_max(const Call& call) {
  const std::int64_t columns = call.in[0].shape().back();
  with_real(call.in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t row = 0; row < call.in[0].shape().rows(); ++row) {
      const T* x = call.in[0].data<T>() + row * columns;
      std::int64_t best = 0;
      for (std::int64_t j = 1; j < columns; ++j) {
        if (is_greater(x[j], x[best])) best = j;
      }
      call.out[0].data<std::int32_t>()[row] = static_cast<std::int32_t>(best);
    }
  });
}

}  // namespace reef::ops::reference
