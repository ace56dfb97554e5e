// Compiled once per instruction set with ATOLL_ISA naming it; see ops/primitive/target.h.

#include "ops/cpu/isa/rope.h"

#include "ops/primitive/runs.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;
using Floats = Vec<float>;
using Doubles = Vec<double>;

/// Pairs at once: the buffers fit the first-level cache.
constexpr Index kChunk = 256;

struct Turns {
  float cosines[kChunk];
  float sines[kChunk];
};

void set_turns(Index position, const double* angles, Index count, Turns& turns) {
  const auto times = static_cast<double>(position);
  const auto set = [&](Index i, const Doubles& angle, Index left) __attribute__((always_inline)) {
    const Doubles x = angle * times;
    store_part(turns.cosines + i, left, convert<float>(cos(x)));
    store_part(turns.sines + i, left, convert<float>(sin(x)));
  };
  over(
      count, [&](Index i) { set(i, load<Doubles>(angles + i), Index{kLanes}); },
      [&](Index i, Index left) { set(i, load_part(angles + i, left, 0.0), left); });
}

/// (lower, upper) turned by the angle: `count` pairs.
template <typename M>
void turn(const Turns& turns, Index count, const M* lower, const M* upper, M* to_lower,
          M* to_upper) {
  const auto put = [&](auto put_at, const Floats& a, const Floats& b, const Floats& c,
                       const Floats& s) __attribute__((always_inline)) {
    put_at(to_lower, a * c - b * s);
    put_at(to_upper, b * c + a * s);
  };
  over(
      count,
      [&](Index i) {
        put([i](M* to, const Floats& v) { store_value(to + i, v); }, load_value(lower + i),
            load_value(upper + i), load<Floats>(turns.cosines + i), load<Floats>(turns.sines + i));
      },
      [&](Index i, Index left) {
        put([i, left](M* to, const Floats& v) { store_part(to + i, left, v); },
            load_part(lower + i, left, M{}), load_part(upper + i, left, M{}),
            load_part(turns.cosines + i, left, 0.0f), load_part(turns.sines + i, left, 0.0f));
      });
}

/// A pair of runs, and the steps within them.
struct Halves {
  const void* from[2];
  void* to[2];
  Index step;
  Index to_step;
};

/// Elements that do not lie side by side go through buffers.
void turn_apart(Element element, const Turns& turns, Index count, const Halves& halves) {
  float in[2][kChunk];
  float out[2][kChunk];
  for (int k = 0; k < 2; ++k) load_elements(element, halves.from[k], halves.step, count, in[k]);
  turn(turns, count, in[0], in[1], out[0], out[1]);
  for (int k = 0; k < 2; ++k) store_elements(element, out[k], halves.to_step, count, halves.to[k]);
}

template <typename M>
void turn_together(const Turns& turns, Index count, const Halves& halves) {
  turn(turns, count, static_cast<const M*>(halves.from[0]), static_cast<const M*>(halves.from[1]),
       static_cast<M*>(halves.to[0]), static_cast<M*>(halves.to[1]));
}

/// `count` pairs of the head at these offsets.
void turn_head(const Rope& op, const Turns& turns, Index x_at, Index out_at, Index count) {
  Halves halves{{}, {}, op.x_strides[3], op.out_strides[3]};
  for (int k = 0; k < 2; ++k) {
    halves.from[k] = element_at(op.element, op.x, x_at + k * op.pairs * halves.step);
    halves.to[k] = element_at(op.element, op.out, out_at + k * op.pairs * halves.to_step);
  }
  if (halves.step != 1 || halves.to_step != 1) {
    return turn_apart(op.element, turns, count, halves);
  }
  if (op.element == Element::kF32) return turn_together<float>(turns, count, halves);
  turn_together<BF16>(turns, count, halves);
}

/// Where a row and a pair of its first head lie.
Index offset_of(const Index* strides, Index sample, Index position, Index pair) {
  return sample * strides[0] + position * strides[1] + pair * strides[3];
}

void run(const Rope& op, Index first, Index count) {
  Turns turns;
  for (Index pair = 0; pair < op.pairs; pair += kChunk) {
    const Index pairs = op.pairs - pair < kChunk ? op.pairs - pair : kChunk;
    Index known = -1;
    for (Index row = first; row < first + count; ++row) {
      const Index position = row / op.batch;
      if (position != known) set_turns(op.first + position, op.angles + pair, pairs, turns);
      known = position;
      const Index x_at = offset_of(op.x_strides, row % op.batch, position, pair);
      const Index out_at = offset_of(op.out_strides, row % op.batch, position, pair);
      for (Index head = 0; head < op.heads; ++head) {
        turn_head(op, turns, x_at + head * op.x_strides[2], out_at + head * op.out_strides[2],
                  pairs);
      }
    }
  }
}

}  // namespace

extern const RopeKernels kRopeKernels;
const RopeKernels kRopeKernels = {run};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
