// Ops that read by index, in every element type; those that write are in scatter.cc.

#include <cstring>

#include "ops/cpu/copy.h"
#include "ops/cpu/indices.h"
#include "ops/cpu/layout.h"
#include "ops/cpu/served.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

using primitive::Index;

/// An index tensor and the axis of x that it picks from.
struct Picked {
  AxisView x;
  AxisView out;
  Indices indices;
  const std::byte* from;
  std::byte* to;

  explicit Picked(const Call& call)
      : x(around_axis(call.in[0].shape(), call.attributes.axis)),
        out(around_axis(call.out[0].shape(), call.attributes.axis)),
        indices(call.in[1], x.n),
        from(call.in[0].raw()),
        to(call.out[0].raw()) {}
};

/// Runs [first, first + count) of outer * n, each of `bytes`: kBytes, unless that is 0.
template <std::size_t kBytes>
void select_runs(Picked picked, std::size_t bytes, Index first, Index count) {
  const auto step = static_cast<Index>(kBytes > 0 ? kBytes : bytes);
  Index outer = first / picked.out.n;
  Index place = first % picked.out.n;
  for (Index run = first; run < first + count; ++run) {
    const Index at = outer * picked.x.n + picked.indices[place];
    std::memcpy(picked.to + run * step, picked.from + at * step, kBytes > 0 ? kBytes : bytes);
    if (++place < picked.out.n) continue;
    place = 0;
    ++outer;
  }
}

void index_select(const Call& call) {
  const Picked picked(call);
  const DType dtype = call.in[0].dtype();
  const Index inner = picked.out.inner;
  const auto select = [&](auto bytes) {
    const std::size_t run = static_cast<std::size_t>(inner) * size_of(dtype);
    for_tiles(call.context, picked.out.outer * picked.out.n, rows_a_tile(inner),
              [&](Index first, Index count) { select_runs<bytes()>(picked, run, first, count); });
  };
  if (inner == 1) return with_element_bytes(dtype, select);
  select(std::integral_constant<std::size_t, 0>{});
}

/// Elements [first, first + count) of the result.
template <std::size_t kBytes>
void gather_elements(Picked picked, Index first, Index count) {
  constexpr auto kSize = static_cast<Index>(kBytes);
  const Index inner = picked.out.inner;
  Index outer = first / inner / picked.out.n;
  Index place = first / inner % picked.out.n;
  Index column = first % inner;
  for (Index i = first; i < first + count; ++i) {
    const Index at = (outer * picked.x.n + picked.indices[i]) * inner + column;
    std::memcpy(picked.to + i * kSize, picked.from + at * kSize, kBytes);
    if (++column < inner) continue;
    column = 0;
    if (++place < picked.out.n) continue;
    place = 0;
    ++outer;
  }
}

void gather(const Call& call) {
  const Picked picked(call);
  with_element_bytes(call.in[0].dtype(), [&](auto bytes) {
    for_tiles(call.context, call.out[0].elements(), kElements,
              [&](Index first, Index count) { gather_elements<bytes()>(picked, first, count); });
  });
}

constexpr Layout kPlain = Layout::kRowMajor;

constexpr Served kServed[] = {
    {Op::kIndexSelect, index_select, kPlain, kEvery},
    {Op::kGather, gather, kPlain, kEvery},
};

}  // namespace

std::span<const Served> index_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
