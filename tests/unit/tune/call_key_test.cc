#include "ops/tune/call_key.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "ops/cpu/thread_pool.h"

namespace reef::ops::tune {
namespace {

constexpr Key kMatmul{Op::kMatmul, Device::kCpu, DType::kF32, Layout::kRowMajor};

Tensor tensor(const Shape& shape, DType dtype = DType::kF32) {
  return Tensor::empty(Pool::host(), dtype, shape);
}

std::vector<std::uint64_t> words_of(const Key& key, const Call& call) {
  const CallKey made(key, call);
  return {made.words().begin(), made.words().end()};
}

TEST(CallKey, DiffersByWhatChangesTheTime) {
  ThreadPool one(1);
  ThreadPool two(2);
  const Tensor in[] = {tensor({8, 4}), tensor({4, 6}), tensor({6})};
  const Tensor wider[] = {tensor({8, 5}), tensor({5, 6}), tensor({6})};
  const Tensor turned[] = {tensor({4, 8}).transpose(0, 1), tensor({4, 6}), tensor({6})};
  const Tensor out[] = {tensor({8, 6}), tensor({8, 6})};
  const Attributes plain;
  Attributes transposed;
  transposed.product = Product::kNT;
  Attributes gelu;
  gelu.activation = Activation::kGelu;
  Attributes drops;
  drops.draw.probability = 0.5f;
  Attributes window;
  window.window.stride = {2, 1};
  const std::span<const Tensor> first(out, 1);
  const std::span<const Tensor> two_in(in, 2);
  Key strided = kMatmul;
  strided.layout = Layout::kStrided;
  const struct {
    Key key;
    Call call;
  } rows[] = {
      {kMatmul, {one, in, first, plain}},      {kMatmul, {two, in, first, plain}},
      {kMatmul, {one, two_in, first, plain}},  {kMatmul, {one, wider, first, plain}},
      {kMatmul, {one, in, first, transposed}}, {kMatmul, {one, in, first, gelu}},
      {kMatmul, {one, in, out, gelu}},         {kMatmul, {one, in, first, drops}},
      {kMatmul, {one, in, first, window}},     {strided, {one, turned, first, plain}},
  };
  std::set<std::vector<std::uint64_t>> words;
  std::set<std::string> texts;
  for (const auto& row : rows) {
    EXPECT_TRUE(words.insert(words_of(row.key, row.call)).second) << text_of(row.key, row.call);
    EXPECT_TRUE(texts.insert(text_of(row.key, row.call)).second) << text_of(row.key, row.call);
  }
}

TEST(CallKey, IsTheSameForWhatDoesNot) {
  ThreadPool one(1);
  const Tensor in[] = {tensor({8, 4}), tensor({4, 6})};
  const Tensor out[] = {tensor({8, 6})};
  Attributes a;
  a.draw = {.probability = 0.1f, .seed = 1, .step = 2};
  Attributes b;
  b.draw = {.probability = 0.2f, .seed = 3, .step = 4};
  b.update.lr = 5;
  EXPECT_EQ(words_of(kMatmul, {one, in, out, a}), words_of(kMatmul, {one, in, out, b}));
}

TEST(CallKey, TellsUpdatesApartByTheirElements) {
  ThreadPool one(1);
  const Key adamw{Op::kAdamW, Device::kCpu, DType::kF32, Layout::kRowMajor};
  const std::vector<Tensor> gradients(kMaxUpdateTensors, tensor({3}));
  const std::vector<Tensor> out(3 * kMaxUpdateTensors, tensor({3}));
  const Call all{one, gradients, out, {}};
  const Call half{one, std::span(gradients).first(128), std::span(out).first(384), {}};
  EXPECT_NE(words_of(adamw, all), words_of(adamw, half));
  EXPECT_NE(text_of(adamw, all).find("768 elements in 256 tensors"), std::string::npos);
}

TEST(CallKey, ReadsWell) {
  ThreadPool two(2);
  const Tensor in[] = {tensor({128, 192}), tensor({768, 192})};
  const Tensor out[] = {tensor({128, 768})};
  Attributes attributes;
  attributes.product = Product::kNT;
  attributes.activation = Activation::kGelu;
  EXPECT_EQ(text_of(kMatmul, {two, in, out, attributes}),
            "matmul on cpu for f32, row-major: nt gelu to f32, f32 (128, 192) f32 (768, 192) -> "
            "f32 (128, 768), 2 threads");
}

}  // namespace
}  // namespace reef::ops::tune
