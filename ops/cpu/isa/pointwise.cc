// Compiled once per instruction set with ATOLL_ISA naming it; see ops/primitive/target.h.

#include "ops/cpu/isa/pointwise.h"

#include "ops/primitive/functors.h"
#include "ops/primitive/runs.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;

/// Elements brought through a buffer at once: all buffers together fit the first-level cache.
constexpr Index kChunk = 512;

template <typename F>
ATOLL_PRIMITIVE F functor(const double* scalars) {
  if constexpr (__is_empty(F)) {
    return F{};
  } else {
    return F{scalars[0], scalars[1]};
  }
}

/// put(k, output k) for f of the inputs at(k).
template <int kInputs, int kOutputs, typename V, typename F, typename At, typename Put>
ATOLL_PRIMITIVE void apply(const F& f, At at, Put put) {
  if constexpr (kOutputs == 2) {
    V first;
    V second;
    if constexpr (kInputs == 3) {
      f(at(0), at(1), at(2), first, second);
    } else {
      f(at(0), at(1), first, second);
    }
    put(0, first);
    put(1, second);
  } else if constexpr (kInputs == 3) {
    put(0, f(at(0), at(1), at(2)));
  } else if constexpr (kInputs == 2) {
    put(0, f(at(0), at(1)));
  } else {
    put(0, f(at(0)));
  }
}

template <typename F, typename T, int kInputs, int kOutputs>
void core(Index count, const CoreOperands& operands) {
  using V = Vec<T>;
  const F f = functor<F>(operands.scalars);
  const auto from = [&operands](int k, Index i) __attribute__((always_inline)) {
    return static_cast<const T*>(operands.in[k]) + i * operands.step[k];
  };
  const auto to = [&operands](int k, Index i) __attribute__((always_inline)) {
    return static_cast<T*>(operands.out[k]) + i;
  };
  over(
      count,
      [&](Index i) {
        apply<kInputs, kOutputs, V>(
            f, [&](int k) { return load<V>(from(k, i)); },
            [&](int k, const V& value) { store(to(k, i), value); });
      },
      [&](Index i, Index left) {
        apply<kInputs, kOutputs, V>(
            f, [&](int k) { return load_part(from(k, i), left, T(0)); },
            [&](int k, const V& value) { store_part(to(k, i), left, value); });
      });
}

/// How many elements from row-major number `first` on lie on the last axis.
Index run_length(const Strided& layout, Index first) {
  const Index length = layout.shape[layout.rank - 1];
  return length - first % length;
}

template <typename T>
struct Driver {
  PointwiseCore core;
  const Pointwise& op;
  Element own;  ///< the element type that needs no conversion
  T in_buffers[kMaxInputs][kChunk];
  T out_buffers[kMaxOutputs][kChunk];

  Driver(PointwiseCore core, const Pointwise& op, Element own) : core(core), op(op), own(own) {}

  Index last_stride(int operand) const { return op.layout.strides[operand][op.layout.rank - 1]; }

  /// Points an input of the core to elements [first, first + count), directly if they lie ready.
  void bring(int k, Index first, Index count, CoreOperands& to) {
    const Strided& layout = op.layout;
    const Index size = size_of(op.in_element[k]);
    const char* base = static_cast<const char*>(op.in[k]);
    const bool one_run = count <= run_length(layout, first);
    const Index stride = last_stride(k);
    to.in[k] = in_buffers[k];
    to.step[k] = 1;
    if (one_run && stride == 0) {
      T value;
      load_elements(op.in_element[k], base + offset_of(layout, k, first) * size, 0, 1, &value);
      for (int lane = 0; lane < kLanes; ++lane) in_buffers[k][lane] = value;
      to.step[k] = 0;
      return;
    }
    if (one_run && stride == 1 && op.in_element[k] == own) {
      to.in[k] = base + offset_of(layout, k, first) * size;
      return;
    }
    for (Index done = 0; done < count;) {
      const Index length = run_length(layout, first + done);
      const Index run = length < count - done ? length : count - done;
      load_elements(op.in_element[k], base + offset_of(layout, k, first + done) * size, stride, run,
                    in_buffers[k] + done);
      done += run;
    }
  }

  /// Where the core writes elements [first, first + count) of output k.
  T* target(int k, Index first, Index count) {
    const int operand = op.layout.inputs + k;
    if (op.out_element[k] != own || last_stride(operand) != 1 ||
        count > run_length(op.layout, first)) {
      return out_buffers[k];
    }
    return static_cast<T*>(op.out[k]) + offset_of(op.layout, operand, first);
  }

  /// Takes what the core wrote into a buffer to where it belongs.
  void deliver(int k, Index first, Index count) {
    const int operand = op.layout.inputs + k;
    const Index size = size_of(op.out_element[k]);
    char* base = static_cast<char*>(op.out[k]);
    for (Index done = 0; done < count;) {
      const Index length = run_length(op.layout, first + done);
      const Index run = length < count - done ? length : count - done;
      store_elements(op.out_element[k], out_buffers[k] + done, last_stride(operand), run,
                     base + offset_of(op.layout, operand, first + done) * size);
      done += run;
    }
  }

  /// Whether no operand ever needs a buffer, except for a scalar.
  bool lies_ready() const {
    bool ready = op.layout.rank == 1;
    for (int k = 0; k < op.layout.inputs; ++k) {
      ready = ready && (last_stride(k) == 0 || (last_stride(k) == 1 && op.in_element[k] == own));
    }
    for (int k = 0; k < op.layout.outputs; ++k) {
      ready = ready && last_stride(op.layout.inputs + k) == 1 && op.out_element[k] == own;
    }
    return ready;
  }

  /// Long rows are cut at their end, so that operands along them can be used in place; short ones
  /// are gathered, many to a chunk.
  Index chunk_at(Index first, Index end) const {
    const Index left = end - first;
    const Index chunk = left < kChunk ? left : kChunk;
    const Index run = run_length(op.layout, first);
    return op.layout.shape[op.layout.rank - 1] >= kChunk / 8 && run < chunk ? run : chunk;
  }

  void run(Index first, Index count) {
    CoreOperands operands{};
    operands.scalars = op.scalars;
    const bool ready = lies_ready();
    for (const Index end = first + count; first < end; first += count) {
      count = ready ? end - first : chunk_at(first, end);
      for (int k = 0; k < op.layout.inputs; ++k) bring(k, first, count, operands);
      for (int k = 0; k < op.layout.outputs; ++k) operands.out[k] = target(k, first, count);
      core(count, operands);
      for (int k = 0; k < op.layout.outputs; ++k) {
        if (operands.out[k] == out_buffers[k]) deliver(k, first, count);
      }
    }
  }
};

void run(PointwiseCore core, const Pointwise& op, Index first, Index count) {
  switch (op.compute) {
    case Compute::kF32:
      return Driver<float>(core, op, Element::kF32).run(first, count);
    case Compute::kF64:
      return Driver<double>(core, op, Element::kF64).run(first, count);
    case Compute::kI32:
      return Driver<std::int32_t>(core, op, Element::kI32).run(first, count);
    case Compute::kI64:
      return Driver<std::int64_t>(core, op, Element::kI64).run(first, count);
  }
}

#define ATOLL_OF_FLOATS(F, in, out) \
  { core<F, float, in, out>, core<F, double, in, out>, nullptr, nullptr }
#define ATOLL_OF_ALL(F, in, out)                                                       \
  {                                                                                    \
    core<F, float, in, out>, core<F, double, in, out>, core<F, std::int32_t, in, out>, \
        core<F, std::int64_t, in, out>                                                 \
  }

}  // namespace

extern const PointwiseKernels kPointwiseKernels;
const PointwiseKernels kPointwiseKernels = {
    // In the order of Function.
    {ATOLL_OF_ALL(Copy, 1, 1),
     ATOLL_OF_ALL(Neg, 1, 1),
     ATOLL_OF_ALL(Abs, 1, 1),
     ATOLL_OF_ALL(Sign, 1, 1),
     ATOLL_OF_ALL(Square, 1, 1),
     ATOLL_OF_ALL(Relu, 1, 1),
     ATOLL_OF_FLOATS(Exp, 1, 1),
     ATOLL_OF_FLOATS(Log, 1, 1),
     ATOLL_OF_FLOATS(Sqrt, 1, 1),
     ATOLL_OF_FLOATS(Rsqrt, 1, 1),
     ATOLL_OF_FLOATS(Tanh, 1, 1),
     ATOLL_OF_FLOATS(Sigmoid, 1, 1),
     ATOLL_OF_FLOATS(Erf, 1, 1),
     ATOLL_OF_FLOATS(Sin, 1, 1),
     ATOLL_OF_FLOATS(Cos, 1, 1),
     ATOLL_OF_FLOATS(Gelu, 1, 1),
     ATOLL_OF_FLOATS(Silu, 1, 1),
     ATOLL_OF_FLOATS(Affine, 1, 1),
     ATOLL_OF_ALL(Add, 2, 1),
     ATOLL_OF_ALL(Sub, 2, 1),
     ATOLL_OF_ALL(Mul, 2, 1),
     ATOLL_OF_FLOATS(Div, 2, 1),
     ATOLL_OF_ALL(Maximum, 2, 1),
     ATOLL_OF_ALL(Minimum, 2, 1),
     ATOLL_OF_ALL(Equal, 2, 1),
     ATOLL_OF_ALL(Less, 2, 1),
     ATOLL_OF_ALL(LessEqual, 2, 1),
     ATOLL_OF_FLOATS(GeluGrad, 2, 1),
     ATOLL_OF_FLOATS(SiluGrad, 2, 1),
     ATOLL_OF_FLOATS(SwiGlu, 2, 1),
     ATOLL_OF_FLOATS(GeluAndGrad, 2, 2),
     ATOLL_OF_ALL(Where, 3, 1),
     ATOLL_OF_FLOATS(SwiGluGrad, 3, 2)},
    run};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
