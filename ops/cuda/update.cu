// AdamW, SGD and Lion, by the update driver.

#include "ops/cuda/update.cuh"

#include <cmath>

#include "ops/cuda/context.h"
#include "ops/cuda/element.cuh"
#include "ops/cuda/error.h"
#include "ops/cuda/kernels.h"

namespace reef::ops::cuda {

namespace {

/// Calls update with the rule for each tensor, decayed or not.
template <typename Rule, typename MakeRule>
void update_all(const Call& call, MakeRule rule_for) {
  constexpr std::size_t kStates = Rule::kStates;
  const std::size_t count = call.in.size();
  const bool publishes = call.out.size() == (2 + kStates) * count;
  for (std::size_t i = 0; i < count; ++i) {
    const Tensor& grad = call.in[i];
    const Tensor& master = call.out[i];
    const Tensor& copy = publishes ? call.out[(1 + kStates) * count + i] : master;
    const Rule rule = rule_for(call.attributes.update.decays(i));
    visit_floating(grad.dtype(), [&](auto grad_type) {
      visit_floating(copy.dtype(), [&](auto copy_type) {
        using Grad = typename decltype(grad_type)::Type;
        using Copy = typename decltype(copy_type)::Type;
        const auto run = [&](auto master_type) {
          using T = typename decltype(master_type)::Type;
          T* second = kStates > 1 ? memory_of<T>(call.out[2 * count + i]) : nullptr;
          const cudaError_t status =
              update(stream_of(call), rule, memory_of<const Grad>(grad), memory_of<T>(master),
                     memory_of<T>(call.out[count + i]), second,
                     publishes ? memory_of<Copy>(copy) : nullptr, grad.elements());
          ATOLL_CUDA(status);
        };
        if (master.dtype() == DType::kF64) return run(TypeIs<double>{});
        run(TypeIs<float>{});
      });
    });
  }
}

}  // namespace

void adamw(const Call& call) {
  const Update& f = call.attributes.update;
  const double beta1 = f.beta1;
  const double beta2 = f.beta2;
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(f.step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(f.step));
  const double decay = static_cast<double>(f.lr) * f.weight_decay;
  update_all<primitive::AdamWRule>(call, [&](bool decays) {
    return primitive::AdamWRule{{f.grad_scale, decays ? 1 - decay : 1, beta1, 1 - beta1, beta2,
                                 1 - beta2, 1 / std::sqrt(correction2), f.lr / correction1,
                                 f.epsilon}};
  });
}

void sgd(const Call& call) {
  const Update& f = call.attributes.update;
  update_all<primitive::SgdRule>(call, [&](bool decays) {
    return primitive::SgdRule{
        {f.grad_scale, f.lr, decays ? f.weight_decay : 0, f.beta1, f.nesterov}};
  });
}

void lion(const Call& call) {
  const Update& f = call.attributes.update;
  const double beta1 = f.beta1;
  const double beta2 = f.beta2;
  const double decay = static_cast<double>(f.lr) * f.weight_decay;
  update_all<primitive::LionRule>(call, [&](bool decays) {
    return primitive::LionRule{
        {f.grad_scale, decays ? 1 - decay : 1, f.lr, beta1, 1 - beta1, beta2, 1 - beta2}};
  });
}

}  // namespace reef::ops::cuda
