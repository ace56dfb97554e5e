#include "ops/cpu/isa/scan.h"

#include "ops/cpu/layout.h"
#include "ops/cpu/served.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

void cum_sum(const Call& call) {
  const Tensor& x = call.in[0];
  const AxisView view = around_axis(x.shape(), call.attributes.axis);
  Scan op;
  op.element = element_of(x.dtype());
  op.x = x.raw();
  op.out = call.out[0].raw();
  op.outer = view.outer;
  op.n = view.n;
  op.inner = view.inner;
  op.reverse = call.attributes.reverse;
  const Index tile = view.inner > 1 ? kColumns : rows_a_tile(view.n);
  for_tiles(call.context, view.outer * view.inner, tile,
            [&](Index first, Index count) { scan_kernels().run(op, first, count); });
}

constexpr Served kServed[] = {{Op::kCumSum, cum_sum, Layout::kRowMajor, kNumeric}};

}  // namespace

std::span<const Served> scan_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
