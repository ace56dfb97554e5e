#pragma once
// Loops over one row of memory, whatever its element type: values come as lanes of what they are
// computed in. On a CPU.

#include "ops/primitive/memory.h"

namespace reef::ops::primitive {
inline namespace ATOLL_ISA {

using Floats = Vec<float>;

ATOLL_PRIMITIVE float sum_of(const Floats& v) {
  return fold(v, [](float a, float b) { return a + b; });
}

/// out[i] = f(x[i] ..), rounded to what `out` holds; it may be one of x.
template <typename Out, typename F, typename... In>
ATOLL_PRIMITIVE void map_row(Index n, Out* out, F f, const In*... x) {
  over(
      n, [&](Index i) { store_value(out + i, f(load_value(x + i)...)); },
      [&](Index i, Index left) { store_part(out + i, left, f(load_part(x + i, left, In{})...)); });
}

/// Calls see(kept, x[i] ..) along a row. The last lanes may lie beyond its end: kept(v) has 0
/// there, so that sums of it do not count them.
template <typename See, typename... In>
ATOLL_PRIMITIVE void over_row(Index n, See see, const In*... x) {
  over(
      n,
      [&](Index i) {
        see(
            [](const Floats& v) __attribute__((always_inline)) { return v; }, load_value(x + i)...);
      },
      [&](Index i, Index left) {
        const auto inside = first_lanes<float>(left);
        see(
            [&inside](const Floats& v)
                __attribute__((always_inline)) { return select(inside, v, Floats{}); },
            load_part(x + i, left, In{})...);
      });
}

/// The sum of f(x[i] ..).
template <typename F, typename... In>
ATOLL_PRIMITIVE float sum_row(Index n, F f, const In*... x) {
  Floats sum{};
  over_row(
      n, [&](auto kept, const auto&... v) __attribute__((always_inline)) { sum += kept(f(v...)); },
      x...);
  return sum_of(sum);
}

/// The greatest of a row's numbers; NaN is passed over.
template <typename In>
ATOLL_PRIMITIVE float max_row(Index n, const In* x) {
  Floats best = all<Floats>(-__builtin_inff());
  const auto see = [&best](const Floats& v) __attribute__((always_inline)) {
    best = select(v > best, v, best);
  };
  over(
      n, [&](Index i) { see(load_value(x + i)); },
      // The first of what is left stands for the lanes beyond the end.
      [&](Index i, Index left) { see(load_part(x + i, left, x[i])); });
  return fold(best, [](float a, float b) { return b > a ? b : a; });
}

/// The sum of exp(scale * x[i] - shift), each of which is kept in `out` unless that is null; it may
/// be x.
template <typename In>
ATOLL_PRIMITIVE float exp_sum(Index n, const In* x, float scale, float shift, float* out) {
  Floats sum{};
  over(
      n,
      [&](Index i) {
        const Floats e = exp_bounded(load_value(x + i) * scale - shift);
        sum += e;
        if (out != nullptr) store(out + i, e);
      },
      [&](Index i, Index left) {
        const Floats at = load_part(x + i, left, In{}) * scale - shift;
        const Floats e = select(first_lanes<float>(left), exp_bounded(at), Floats{});
        sum += e;
        if (out != nullptr) store_part(out + i, left, e);
      });
  return sum_of(sum);
}

}  // namespace ATOLL_ISA
}  // namespace reef::ops::primitive
