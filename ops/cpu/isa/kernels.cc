// Compiled once per instruction set with ATOLL_ISA naming it; see kernels.h for why nothing of the
// standard library may be used here.

#include "ops/cpu/isa/kernels.h"

#include "ops/primitive/functors.h"
#include "ops/primitive/rows.h"
#include "ops/primitive/runs.h"

#define ATOLL_NAME_OF(isa) #isa
#define ATOLL_ISA_STRING(isa) ATOLL_NAME_OF(isa)
#define ATOLL_ISA_NAME "x86-64-" ATOLL_ISA_STRING(ATOLL_ISA)

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;

/// Calls visit with the type of an element that is computed on in f32.
template <typename Visit>
ATOLL_PRIMITIVE void visit_float(Element element, Visit visit) {
  if (element == Element::kF32) return visit(Type<float>{});
  if (element == Element::kBF16) return visit(Type<BF16>{});
  visit(Type<F16>{});
}

void add(Element element, Index n, const void* a, const void* b, void* out) {
  visit_float(element, [=](auto type) {
    using M = typename decltype(type)::Is;
    map_row(n, static_cast<M*>(out), Add{}, static_cast<const M*>(a), static_cast<const M*>(b));
  });
}

void add_to(Element element, Index n, const void* x, float* sum) {
  visit_float(element, [=](auto type) {
    map_row(n, sum, Add{}, sum, static_cast<const typename decltype(type)::Is*>(x));
  });
}

void column_sum(Index rows, Index columns, Index first, Index count, const float* x, float* out) {
  // Four vectors side by side hide the latency of the addition; each column's order is unchanged.
  Index c = first;
  const Index end = first + count;
  for (; c + 4 * kLanes <= end; c += 4 * kLanes) {
    Floats s0{}, s1{}, s2{}, s3{};
    for (Index row = 0; row < rows; ++row) {
      const float* at = x + row * columns + c;
      s0 += load<Floats>(at);
      s1 += load<Floats>(at + kLanes);
      s2 += load<Floats>(at + 2 * kLanes);
      s3 += load<Floats>(at + 3 * kLanes);
    }
    store(out + c, s0);
    store(out + c + kLanes, s1);
    store(out + c + 2 * kLanes, s2);
    store(out + c + 3 * kLanes, s3);
  }
  for (; c < end; c += kLanes) {
    const Index left = end - c < kLanes ? end - c : kLanes;
    Floats sum{};
    for (Index row = 0; row < rows; ++row) {
      sum += left == kLanes ? load<Floats>(x + row * columns + c)
                            : load_part(x + row * columns + c, left, 0.0f);
    }
    store_part(out + c, left, sum);
  }
}

// Forwards: what is written never lies beyond what was read.
void to_bf16(Index n, const float* x, void* out) { store_run(x, 1, n, static_cast<BF16*>(out)); }

}  // namespace

extern const VectorKernels kVectorKernels;
const VectorKernels kVectorKernels = {ATOLL_ISA_NAME, add, add_to, column_sum, to_bf16};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
