// Ops whose inputs only make sense as the results of another, and what has no counterpart among the
// plain kernels.

#include <gtest/gtest.h>

#include <cstring>

#include "ops/cpu/thread_pool.h"
#include "ops/functional/functional.h"
#include "tests/gpu/compare.h"
#include "tests/gpu/device.h"

namespace reef::ops::gpu {
namespace {

enum class Mask { kNone, kLengths, kVisible };

struct Heads {
  std::int64_t batch, queries, keys, heads, groups, width;
  bool causal;
  Mask mask = Mask::kNone;
  float dropout = 0;
};

/// Tiles are of 32 and 64 rows and heads are padded to 32, 64 and 128: below, at and above.
const Heads kHeads[] = {
    {2, 9, 9, 2, 2, 8, true},
    {1, 64, 64, 2, 1, 64, true},
    {1, 64, 65, 2, 1, 16, true},  // the last query alone sees into the second tile
    {1, 65, 64, 2, 1, 16, true},  // the first query sees nothing
    {2, 70, 70, 4, 2, 20, true, Mask::kNone, 0.2f},
    {2, 5, 130, 2, 2, 32, true, Mask::kLengths},
    {2, 100, 3, 3, 1, 65, true},
    {2, 33, 75, 2, 2, 128, false, Mask::kVisible, 0.1f},
    {1, 6, 40, 1, 1, 130, true, Mask::kLengths, 0.3f},
};

std::string text_of(const Heads& h) {
  return "attention of " + std::to_string(h.queries) + " by " + std::to_string(h.keys) + ", D " +
         std::to_string(h.width);
}

std::vector<Tensor> inputs_of(const Heads& h, DType dtype) {
  std::vector<Tensor> in = {normal_of(dtype, {h.batch, h.queries, h.heads, h.width}, "q"),
                            normal_of(dtype, {h.batch, h.keys, h.groups, h.width}, "k"),
                            normal_of(dtype, {h.batch, h.keys, h.groups, h.width}, "v")};
  const std::uint64_t bound = static_cast<std::uint64_t>(h.keys) + 1;
  if (h.mask == Mask::kLengths) {
    in.push_back(
        gpu::inputs_of({"l", Op::kCopy, {{Shape{h.batch}, Fill::kIndex, bound}}}, dtype)[0]);
  }
  if (h.mask == Mask::kVisible) {
    in.push_back(
        gpu::inputs_of({"m", Op::kCopy, {{Shape{h.batch, h.keys}, Fill::kBool}}}, dtype)[0]);
  }
  return in;
}

Attributes attributes_of(const Heads& h) {
  Attributes attributes;
  attributes.causal = h.causal;
  attributes.scale = 0;
  attributes.draw = {h.dropout, 3, 4, 1, 10};
  return attributes;
}

TEST(GpuAttention, AgreesWithThePlainKernels) {
  ATOLL_NEED_GPU();
  for (const Heads& h : kHeads) {
    for (const DType dtype : kFloats) {
      // Plain kernels keep log-sum-exp in f32 for f64, too.
      const double slack = dtype == DType::kF64 ? 1e6 : dtype == DType::kF32 ? 1 : 2;
      std::vector<Tensor> in = inputs_of(h, dtype);
      expect_agreement(text_of(h), Op::kAttention, in, attributes_of(h), dtype, slack);
      in[0] = strided(in[0], 1);
      in[2] = strided(in[2], 0);
      expect_agreement(text_of(h) + ", strided", Op::kAttention, in, attributes_of(h), dtype,
                       slack);
    }
  }
}

TEST(GpuAttention, GradientsAgreeWithThePlainKernels) {
  ATOLL_NEED_GPU();
  for (const Heads& h : kHeads) {
    for (const DType dtype : kFloats) {
      std::vector<Tensor> in = inputs_of(h, dtype);
      const std::vector<Tensor> forward = run_plain(Op::kAttention, in, attributes_of(h));
      const Tensor grad = normal_of(dtype, in[0].shape(), "grad");
      in.insert(in.begin() + 3, {forward[0], forward[1], grad});
      const double slack = dtype == DType::kF64 || dtype == DType::kF32 ? 10 : 3;
      expect_agreement(text_of(h) + " backward", Op::kAttentionGrad, in, attributes_of(h), dtype,
                       slack);
    }
  }
}

TEST(GpuAttention, WritesIntoThePackedGradient) {
  ATOLL_NEED_GPU();
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const Tensor qkv = normal_of(dtype, {2, 40, 3 * 48}, "qkv");
    const Tensor grad = normal_of(dtype, {2, 40, 48}, "grad");
    const auto gradient_on = [&](Context& context, const Tensor& x, const Tensor& g) {
      return packed_attention_grad(context, x, packed_attention(context, x, 3, {}), g, 3, {});
    };
    ThreadPool plain(1, Device::kReference);
    const Tensor expected = gradient_on(plain, qkv, grad);
    const Tensor there =
        gradient_on(context(), to_device(context(), qkv), to_device(context(), grad));
    EXPECT_LE(difference_of(to_host(context(), there), expected), 3 * precision_of(dtype));
  }
}

TEST(GpuPooling, MaximumGradientAgrees) {
  ATOLL_NEED_GPU();
  Attributes attributes;
  attributes.window.size = {3, 2};
  attributes.window.stride = {1, 2};
  attributes.window.padding = {1, 0};
  for (const DType dtype : kFloats) {
    const Tensor x = normal_of(dtype, {2, 3, 11, 10}, "x");
    const std::vector<Tensor> forward = run_plain(Op::kMaxPool2d, {x}, attributes);
    attributes.shape = x.shape();
    const Tensor grad = normal_of(dtype, forward[0].shape(), "grad");
    expect_agreement("max_pool2d_grad", Op::kMaxPool2dGrad, {forward[1], grad}, attributes, dtype);
  }
}

TEST(GpuRandom, DrawsTheBitsOfTheHost) {
  ATOLL_NEED_GPU();
  Attributes attributes;
  attributes.draw = {0.3f, 11, 5, 2, std::uint64_t{1} << 33};
  attributes.shape = Shape{5, 3000};
  for (const DType dtype : kFloats) {
    attributes.to = dtype;
    const Tensor x = normal_of(dtype, attributes.shape, "x");
    for (const bool uniform : {true, false}) {
      const Op op = uniform ? Op::kUniform : Op::kDropout;
      const std::vector<Tensor> in = uniform ? std::vector<Tensor>{} : std::vector{x};
      const Tensor here = run_plain(op, in, attributes)[0];
      const Tensor there = run_gpu(op, in, attributes)[0];
      EXPECT_EQ(std::memcmp(here.raw(), there.raw(), here.size_bytes()), 0)
          << name_of(op) << " of " << name_of(dtype);
    }
  }
}

TEST(GpuProducts, AreExactInSinglePrecision) {
  ATOLL_NEED_GPU();
  // 1 + 2^-12 needs 13 bits: TF32's 11 would lose it.
  const std::int64_t n = 256;
  const Tensor a = Tensor::empty(Pool::host(), DType::kF32, {n, n});
  for (float& value : a.values<float>()) value = 1 + 0x1p-12f;
  Attributes attributes;
  const Tensor product = run_gpu(Op::kMatmul, {a, a}, attributes)[0];
  const double expected = static_cast<double>(n) * (1 + 0x1p-12) * (1 + 0x1p-12);
  EXPECT_NEAR(product.values<float>()[77], expected, expected * 1e-6);
}

TEST(GpuHead, SumsOverBlocksOfRows) {
  ATOLL_NEED_GPU();
  // More rows than one block of logits holds.
  const std::int64_t vocabulary = 150000;
  Attributes attributes;
  attributes.scale = 0.5;
  const Case test{"head",
                  Op::kLinearCrossEntropy,
                  {{{300, 8}}, {{vocabulary, 8}}, {{300}, Fill::kTarget, 150000}}};
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    expect_agreement(test.name, test.op, inputs_of(test, dtype), attributes, dtype, 4);
  }
}

}  // namespace
}  // namespace reef::ops::gpu
