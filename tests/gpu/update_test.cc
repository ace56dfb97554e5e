// Optimizer steps in place, on the GPU and on the plain kernels.

#include <gtest/gtest.h>

#include "ops/cpu/thread_pool.h"
#include "tests/gpu/compare.h"
#include "tests/gpu/device.h"

namespace reef::ops::gpu {
namespace {

struct Optimizer {
  Op op;
  std::size_t states;
};
constexpr Optimizer kOptimizers[] = {
    {Op::kAdamW, 2}, {Op::kSgd, 1}, {Op::kLion, 1}, {Op::kAdafactor, 2}};

const Shape kShapes[] = {Shape{33, 70}, Shape{129}, Shape{2, 3, 50}};

Shape state_shape(Op op, std::size_t state, const Shape& shape) {
  if (op != Op::kAdafactor) return shape;
  if (shape.rank() < 2) return state == 0 ? shape : Shape{0};
  return state == 0 ? Shape{shape.rows()} : Shape{shape.back()};
}

/// Masters, states (positive: two of them are second moments) and weights to publish, on the host.
std::vector<Tensor> written_by(const Optimizer& optimizer, bool publishes) {
  std::vector<Tensor> out;
  for (const Shape& shape : kShapes) out.push_back(normal_of(DType::kF32, shape, "master"));
  for (std::size_t state = 0; state < optimizer.states; ++state) {
    for (const Shape& shape : kShapes) {
      const Case positive{
          "state", Op::kCopy, {{state_shape(optimizer.op, state, shape), Fill::kPositive}}};
      out.push_back(inputs_of(positive, DType::kF32)[0]);
    }
  }
  for (std::size_t i = 0; publishes && i < std::size(kShapes); ++i) {
    out.push_back(normal_of(DType::kBF16, kShapes[i], "weight"));
  }
  return out;
}

/// Two steps; what was written, on the host.
std::vector<Tensor> step_on(Context& context, const Optimizer& optimizer, DType dtype,
                            bool publishes) {
  const bool is_gpu = !is_host(context.device());
  std::vector<Tensor> in;
  for (const Shape& shape : kShapes) in.push_back(normal_of(dtype, shape, "gradient"));
  std::vector<Tensor> out = written_by(optimizer, publishes);
  for (std::vector<Tensor>* tensors : {&in, &out}) {
    for (Tensor& tensor : *tensors) {
      if (is_gpu) tensor = to_device(context, tensor);
    }
  }
  Attributes attributes;
  attributes.update.grad_scale = 0.5f;
  attributes.update.nesterov = true;
  attributes.update.undecayed[0] = 2;
  for (const std::int64_t step : {3, 4}) {
    attributes.update.step = step;
    run(context, optimizer.op, in, out, attributes);
  }
  for (Tensor& tensor : out) {
    if (is_gpu) tensor = to_host(context, tensor);
  }
  return out;
}

TEST(GpuUpdates, AgreeWithThePlainKernels) {
  ATOLL_NEED_GPU();
  ThreadPool plain(1, Device::kReference);
  for (const Optimizer& optimizer : kOptimizers) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const bool publishes : {false, true}) {
        // The plain kernels of updates take f32 gradients: these are exact in bf16.
        const std::vector<Tensor> there = step_on(context(), optimizer, dtype, publishes);
        const std::vector<Tensor> expected = step_on(plain, optimizer, dtype, publishes);
        for (std::size_t i = 0; i < expected.size(); ++i) {
          if (expected[i].elements() == 0) continue;
          const DType of = expected[i].dtype();
          EXPECT_LE(difference_of(there[i], expected[i]), precision_of(of))
              << name_of(optimizer.op) << " of " << name_of(dtype) << ", tensor " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace reef::ops::gpu
