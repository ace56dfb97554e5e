// Compiled once per instruction set with ATOLL_ISA naming it; see ops/primitive/target.h.

#include "ops/cpu/isa/optimizer.h"

#include "ops/primitive/optimizers.h"
#include "ops/primitive/runs.h"

namespace reef::ops::cpu {
namespace ATOLL_ISA {
namespace {

using namespace primitive;

constexpr Index kChunk = 512;

template <typename Rule, typename T>
void update_run(const Rule& rule, Index count, const T* grad, T* master, T* const* states) {
  const auto step = [&](auto take, auto put, Index i) __attribute__((always_inline)) {
    Vec<T> value = take(master + i);
    Vec<T> state[2];
    state[0] = take(states[0] + i);
    if constexpr (Rule::kStates > 1) state[1] = take(states[1] + i);
    rule(take(grad + i), value, state);
    put(master + i, value);
    put(states[0] + i, state[0]);
    if constexpr (Rule::kStates > 1) put(states[1] + i, state[1]);
  };
  over(
      count,
      [&](Index i) {
        step([](const T* from) { return load<Vec<T>>(from); },
             [](T* to, const Vec<T>& value) { store(to, value); }, i);
      },
      [&](Index i, Index left) {
        step([left](const T* from) { return load_part(from, left, T(0)); },
             [left](T* to, const Vec<T>& value) { store_part(to, left, value); }, i);
      });
}

template <typename Rule, typename T>
void update_as(const Rule& rule, const TensorUpdate& op, Index first, Index count) {
  T grads[kChunk];
  T masters[kChunk];
  const bool in_place = op.master_element == kElementOf<T>;
  for (const Index end = first + count; first < end; first += count) {
    count = end - first < kChunk ? end - first : kChunk;
    const T* grad =
        values_of(op.grad_element, element_at(op.grad_element, op.grad, first), count, grads);
    void* memory = element_at(op.master_element, op.master, first);
    T* master = in_place ? static_cast<T*>(memory) : masters;
    if (!in_place) load_elements(op.master_element, memory, 1, count, masters);
    T* states[2] = {};
    for (int k = 0; k < Rule::kStates; ++k) states[k] = static_cast<T*>(op.states[k]) + first;
    update_run(rule, count, grad, master, states);
    if (!in_place) store_elements(op.master_element, masters, 1, count, memory);
    if (op.copy == nullptr) continue;
    store_elements(op.copy_element, master, 1, count, element_at(op.copy_element, op.copy, first));
  }
}

template <typename Rule, typename Factors>
void update(const Factors& factors, const TensorUpdate& op, Index first, Index count) {
  const Rule rule{factors};
  if (op.master_element == Element::kF64) return update_as<Rule, double>(rule, op, first, count);
  update_as<Rule, float>(rule, op, first, count);
}

}  // namespace

extern const OptimizerKernels kOptimizerKernels;
const OptimizerKernels kOptimizerKernels = {update<AdamWRule>, update<SgdRule>, update<LionRule>};

}  // namespace ATOLL_ISA
}  // namespace reef::ops::cpu
