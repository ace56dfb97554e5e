#include "ops/functional/update.h"

#include <vector>

#include "ops/functional/call.h"

namespace reef::ops {

namespace {

void update(Context& context, Op op, const UpdateTensors& tensors, const Update& factors) {
  CHECK(factors.step >= 1);
  thread_local std::vector<Tensor> out;  // keeps its room: a step allocates nothing
  out.clear();
  for (const auto& group : {tensors.masters, tensors.first, tensors.second, tensors.weights}) {
    out.insert(out.end(), group.begin(), group.end());
  }
  Attributes attributes;
  attributes.update = factors;
  run(context, op, tensors.gradients, out, attributes);
  out.clear();
}

}  // namespace

void adamw(Context& context, const UpdateTensors& tensors, const Update& factors) {
  update(context, Op::kAdamW, tensors, factors);
}
void sgd(Context& context, const UpdateTensors& tensors, const Update& factors) {
  update(context, Op::kSgd, tensors, factors);
}
void lion(Context& context, const UpdateTensors& tensors, const Update& factors) {
  update(context, Op::kLion, tensors, factors);
}
void adafactor(Context& context, const UpdateTensors& tensors, const Update& factors) {
  update(context, Op::kAdafactor, tensors, factors);
}

}  // namespace reef::ops
