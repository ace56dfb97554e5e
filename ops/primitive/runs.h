#pragma once
// Moves runs of elements between memory of any type and buffers of a compute type, on a CPU.

#include "ops/primitive/memory.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

template <typename T>
struct Type {
  using Is = T;
};

/// Calls visit(Type<M>{}) for the memory type M of an element.
template <typename Visit>
ATOLL_PRIMITIVE void visit_element(Element element, Visit visit) {
  switch (element) {
    case Element::kF32:
      return visit(Type<float>{});
    case Element::kBF16:
      return visit(Type<BF16>{});
    case Element::kF16:
      return visit(Type<F16>{});
    case Element::kF64:
      return visit(Type<double>{});
    case Element::kI32:
      return visit(Type<std::int32_t>{});
    case Element::kI64:
      return visit(Type<std::int64_t>{});
    case Element::kU8:
      return visit(Type<std::uint8_t>{});
    case Element::kBool:
      return visit(Type<Bool>{});
  }
}

/// Bytes of one element.
ATOLL_PRIMITIVE Index size_of(Element element) {
  Index size = 0;
  visit_element(element, [&size](auto type) { size = sizeof(typename decltype(type)::Is); });
  return size;
}

template <typename T, typename M>
void load_run(const M* from, Index step, Index count, T* to) {
  if constexpr (kSame<ComputeOf<M>, T> && sizeof(M) > 1) {
    if (step == 1) {
      over(
          count, [&](Index i) { store(to + i, load_value(from + i)); },
          [&](Index i, Index left) { store_part(to + i, left, load_part(from + i, left, M{})); });
      return;
    }
  }
  for (Index i = 0; i < count; ++i) to[i] = number<T>(to_value(from[i * step]));
}

template <typename T, typename M>
void store_run(const T* from, Index step, Index count, M* to) {
  using Value = ComputeOf<M>;
  if constexpr (kSame<Value, T> && sizeof(M) > 1) {
    if (step == 1) {
      over(
          count, [&](Index i) { store_value(to + i, load<Vec<T>>(from + i)); },
          [&](Index i, Index left) { store_part(to + i, left, load_part(from + i, left, T{})); });
      return;
    }
  }
  for (Index i = 0; i < count; ++i) to[i * step] = from_value<M>(from[i]);
}

/// `count` elements, `step` apart, as values of T.
template <typename T>
void load_elements(Element element, const void* from, Index step, Index count, T* to) {
  visit_element(element, [=](auto type) {
    load_run(static_cast<const typename decltype(type)::Is*>(from), step, count, to);
  });
}
template <typename T>
void store_elements(Element element, const T* from, Index step, Index count, void* to) {
  visit_element(element, [=](auto type) {
    store_run(from, step, count, static_cast<typename decltype(type)::Is*>(to));
  });
}

template <typename T>
inline constexpr Element kElementOf = Element::kF32;
template <>
inline constexpr Element kElementOf<double> = Element::kF64;
template <>
inline constexpr Element kElementOf<std::int32_t> = Element::kI32;
template <>
inline constexpr Element kElementOf<std::int64_t> = Element::kI64;

/// A pointer into memory of an element type that is only known at run time.
ATOLL_PRIMITIVE const void* element_at(Element element, const void* base, Index number) {
  return static_cast<const char*>(base) + number * size_of(element);
}
ATOLL_PRIMITIVE void* element_at(Element element, void* base, Index number) {
  return static_cast<char*>(base) + number * size_of(element);
}

/// `count` contiguous elements as values of T: where they are, if they are that, else in `buffer`.
template <typename T>
const T* values_of(Element element, const void* from, Index count, T* buffer) {
  if (element == kElementOf<T>) return static_cast<const T*>(from);
  load_elements(element, from, 1, count, buffer);
  return buffer;
}

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
