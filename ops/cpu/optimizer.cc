#include <cmath>

#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

void square_sum(const Call& call) {
  const float* x = call.in[0].data<float>();
  auto* sums = reinterpret_cast<double*>(call.out[0].data<std::uint8_t>());
  for_tiles(call.context, call.in[0].elements(), kSquareSumBlock, [&](Index first, Index count) {
    sums[first / kSquareSumBlock] = vector_kernels().square_sum(count, x + first);
  });
}

void adamw(const Call& call) {
  const AdamW& given = call.attributes.adamw;
  const double beta1 = given.beta1;
  const double beta2 = given.beta2;
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(given.step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(given.step));
  const AdamWFactors factors{
      .grad_scale = given.grad_scale,
      .decay = static_cast<float>(1 - static_cast<double>(given.lr) * given.weight_decay),
      .beta1 = given.beta1,
      .one_minus_beta1 = static_cast<float>(1 - beta1),
      .beta2 = given.beta2,
      .one_minus_beta2 = static_cast<float>(1 - beta2),
      .inverse_sqrt_correction2 = static_cast<float>(1 / std::sqrt(correction2)),
      .step_size = static_cast<float>(given.lr / correction1),
      .epsilon = given.epsilon};
  const float* grad = call.in[0].data<float>();
  float* master = call.out[0].data<float>();
  float* m = call.out[1].data<float>();
  float* v = call.out[2].data<float>();
  for_tiles(call.context, call.in[0].elements(), kElements, [&](Index first, Index count) {
    vector_kernels().adamw(count, factors, grad + first, master + first, m + first, v + first);
  });
}

}  // namespace reef::ops::cpu
