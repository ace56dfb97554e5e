// Updates in place of many tensors at once.

#include <cmath>
#include <vector>

#include "ops/cpu/isa/optimizer.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/layout.h"
#include "ops/cpu/served.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

primitive::AdamWFactors adamw_factors(const Update& given, bool decays) {
  const double beta1 = given.beta1;
  const double beta2 = given.beta2;
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(given.step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(given.step));
  const double decay = decays ? static_cast<double>(given.lr) * given.weight_decay : 0;
  return {.grad_scale = given.grad_scale,
          .decay = 1 - decay,
          .beta1 = beta1,
          .one_minus_beta1 = 1 - beta1,
          .beta2 = beta2,
          .one_minus_beta2 = 1 - beta2,
          .inverse_sqrt_correction2 = 1 / std::sqrt(correction2),
          .step_size = given.lr / correction1,
          .epsilon = given.epsilon};
}

primitive::SgdFactors sgd_factors(const Update& given, bool decays) {
  return {.grad_scale = given.grad_scale,
          .lr = given.lr,
          .weight_decay = decays ? given.weight_decay : 0,
          .momentum = given.beta1,
          .nesterov = given.nesterov};
}

primitive::LionFactors lion_factors(const Update& given, bool decays) {
  const double beta1 = given.beta1;
  const double beta2 = given.beta2;
  const double decay = decays ? static_cast<double>(given.lr) * given.weight_decay : 0;
  return {.grad_scale = given.grad_scale,
          .decay = 1 - decay,
          .lr = given.lr,
          .beta1 = beta1,
          .one_minus_beta1 = 1 - beta1,
          .beta2 = beta2,
          .one_minus_beta2 = 1 - beta2};
}

/// Tensor i of the call: a master, its states, perhaps a weight to publish.
TensorUpdate tensor_update(const Call& call, std::size_t i, std::size_t states) {
  const std::size_t count = call.in.size();
  TensorUpdate update;
  update.grad_element = element_of(call.in[i].dtype());
  update.grad = call.in[i].raw();
  update.master_element = element_of(call.out[i].dtype());
  update.master = call.out[i].raw();
  for (std::size_t k = 0; k < states; ++k) {
    const Tensor& state = call.out[(1 + k) * count + i];
    CHECK(state.dtype() == call.out[i].dtype()) << "state of another dtype than its master";
    update.states[k] = state.raw();
  }
  if (call.out.size() == (2 + states) * count) {
    const Tensor& weight = call.out[(1 + states) * count + i];
    update.copy_element = element_of(weight.dtype());
    update.copy = weight.raw();
  }
  return update;
}

/// One tile of one tensor.
struct Tile {
  std::size_t tensor;
  Index first;
};

/// All tensors are cut into tiles first, so that small ones do not leave workers idle.
template <typename Factors>
void update_all(const Call& call, std::size_t states,
                void (*kernel)(const Factors&, const TensorUpdate&, Index, Index),
                Factors (*factors)(const Update&, bool decays)) {
  thread_local std::vector<Tile> tiles;  // keeps its room: a step allocates nothing
  tiles.clear();
  for (std::size_t i = 0; i < call.in.size(); ++i) {
    for (Index first = 0; first < call.in[i].elements(); first += kElements) {
      tiles.push_back({i, first});
    }
  }
  const Update& given = call.attributes.update;
  const Factors decayed = factors(given, true);
  const Factors undecayed = factors(given, false);
  call.context.parallel_for(tiles.size(), [&, list = tiles.data()](std::size_t index) {
    const auto [i, first] = list[index];
    const Index length = std::min(kElements, call.in[i].elements() - first);
    kernel(given.decays(i) ? decayed : undecayed, tensor_update(call, i, states), first, length);
  });
}

void adamw(const Call& call) { update_all(call, 2, optimizer_kernels().adamw, adamw_factors); }
void sgd(const Call& call) { update_all(call, 1, optimizer_kernels().sgd, sgd_factors); }
void lion(const Call& call) { update_all(call, 1, optimizer_kernels().lion, lion_factors); }

constexpr Served kServed[] = {
    {Op::kAdamW, adamw, Layout::kRowMajor, kFloating},
    {Op::kSgd, sgd, Layout::kRowMajor, kFloating},
    {Op::kLion, lion, Layout::kRowMajor, kFloating},
    {Op::kAdafactor, adafactor, Layout::kRowMajor, kFloating},
};

}  // namespace

std::span<const Served> update_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
