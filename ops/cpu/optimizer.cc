#include <cmath>
#include <vector>

#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

void square_sum(const Call& call) {
  const float* x = call.in[0].data<float>();
  double* sums = call.out[0].data<double>();
  for_tiles(call.context, call.in[0].elements(), kSquareSumBlock, [&](Index first, Index count) {
    sums[first / kSquareSumBlock] = vector_kernels().square_sum(count, x + first);
  });
}

namespace {

AdamWFactors factors_of(const Update& given, bool decays) {
  const double beta1 = given.beta1;
  const double beta2 = given.beta2;
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(given.step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(given.step));
  const double decay = decays ? static_cast<double>(given.lr) * given.weight_decay : 0;
  return {.grad_scale = given.grad_scale,
          .decay = static_cast<float>(1 - decay),
          .beta1 = given.beta1,
          .one_minus_beta1 = static_cast<float>(1 - beta1),
          .beta2 = given.beta2,
          .one_minus_beta2 = static_cast<float>(1 - beta2),
          .inverse_sqrt_correction2 = static_cast<float>(1 / std::sqrt(correction2)),
          .step_size = static_cast<float>(given.lr / correction1),
          .epsilon = given.epsilon};
}

/// One tile of one tensor.
struct UpdateTile {
  std::size_t tensor;
  Index first;
};

}  // namespace

// All tensors are cut into tiles first, so that small ones do not leave workers idle.
void adamw(const Call& call) {
  const std::size_t count = call.in.size();
  thread_local std::vector<UpdateTile> tiles;  // keeps its room: a step allocates nothing
  tiles.clear();
  for (std::size_t i = 0; i < count; ++i) {
    for (Index first = 0; first < call.in[i].elements(); first += kElements) {
      tiles.push_back({i, first});
    }
  }
  const AdamWFactors decayed = factors_of(call.attributes.update, true);
  const AdamWFactors undecayed = factors_of(call.attributes.update, false);
  call.context.parallel_for(tiles.size(), [&, list = tiles.data()](std::size_t index) {
    const auto [i, first] = list[index];
    const Index length = std::min(kElements, call.in[i].elements() - first);
    float* const master = call.out[i].data<float>() + first;
    vector_kernels().adamw(length, call.attributes.update.decays(i) ? decayed : undecayed,
                           call.in[i].data<float>() + first, master,
                           call.out[count + i].data<float>() + first,
                           call.out[2 * count + i].data<float>() + first);
    if (call.out.size() == 4 * count) {
      auto* weights = reinterpret_cast<std::uint16_t*>(call.out[3 * count + i].data<BF16>());
      vector_kernels().to_bf16(length, master, weights + first);
    }
  });
}

}  // namespace reef::ops::cpu
