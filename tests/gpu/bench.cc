// How fast the GPU multiplies, attends and trains: one line each, as bench_torch.py prints them for
// PyTorch. usage: gpu_bench

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "ops/functional/functional.h"
#include "ops/nn/trainer.h"
#include "tests/gpu/device.h"

namespace reef::ops::gpu {
namespace {

constexpr int kRuns = 9;
constexpr int kCallsPerRun = 10;

/// The median time of one call in milliseconds, after a run that warms up.
double milliseconds(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  for (int run = 0; run <= kRuns; ++run) {
    context().synchronize();
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < kCallsPerRun; ++i) call();
    context().synchronize();
    const std::chrono::duration<double, std::milli> spent = Clock::now() - start;
    if (run > 0) times.push_back(spent.count() / kCallsPerRun);
  }
  std::nth_element(times.begin(), times.begin() + kRuns / 2, times.end());
  return times[kRuns / 2];
}

void report(const std::string& what, double flops, const std::function<void()>& call) {
  const double time = milliseconds(call);
  std::printf("%-48s %10.3f ms %9.1f TFLOP/s\n", what.c_str(), time, flops / time * 1e-9);
  std::fflush(stdout);
}

Draw drawn(std::uint64_t op) {
  Draw draw;
  draw.op = op;
  return draw;
}

void products() {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const std::int64_t n : {1024, 4096, 8192}) {
      const Tensor a = normal(context(), dtype, {n, n}, drawn(1));
      const Tensor b = normal(context(), dtype, {n, n}, drawn(2));
      const double flops =
          2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
      report("matmul " + std::string(name_of(dtype)) + " " + std::to_string(n), flops,
             [&] { matmul(context(), a, b, Product::kNN); });
    }
  }
}

void attentions() {
  const std::int64_t batch = 4, heads = 16, width = 64;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const std::int64_t length : {1024, 4096}) {
      const Shape shape{batch, length, heads, width};
      const Tensor q = normal(context(), dtype, shape, drawn(1));
      const Tensor k = normal(context(), dtype, shape, drawn(2));
      const Tensor v = normal(context(), dtype, shape, drawn(3));
      // Two products over the half that is not masked; five backward.
      const double product = static_cast<double>(shape.elements()) * static_cast<double>(length);
      const std::string of = std::string(name_of(dtype)) + " " + std::to_string(length);
      const Attention forward = attention(context(), q, k, v, {});
      report("attention " + of, 2 * product, [&] { attention(context(), q, k, v, {}); });
      report("attention backward " + of, 5 * product,
             [&] { attention_grad(context(), q, k, v, forward, q, {}); });
    }
  }
}

/// GPT-2 small on 4 x 1024 tokens: forward, backward and AdamW.
void steps() {
  const nn::GptConfig config{
      .vocab_size = 50304, .n_positions = 1024, .n_embd = 768, .n_layer = 12, .n_head = 12};
  const Shape shape{4, config.n_positions};
  const Tensor tokens = fill(context(), DType::kI32, shape, 17);
  double flops_of_token = 0;
  for (const nn::Layer& layer : nn::model_spec(config).layers) {
    flops_of_token += 3 * layer.forward_flops_per_token;
  }
  for (const nn::Precision precision : {nn::Precision::kF32, nn::Precision::kBF16}) {
    nn::Trainer trainer(context(), config, precision, 1);
    Update factors;
    std::uint64_t step = 0;
    const bool is_f32 = precision == nn::Precision::kF32;
    report(is_f32 ? "step f32" : "step bf16",
           flops_of_token * static_cast<double>(shape.elements()), [&] {
             trainer.differentiate(tokens, tokens, ++step);
             factors.step = static_cast<std::int64_t>(step);
             trainer.update(factors);
           });
  }
}

}  // namespace
}  // namespace reef::ops::gpu

int main() {
  if (const std::string why = reef::ops::gpu::missing(); !why.empty()) {
    std::printf("SKIPPED: no GPU: %s\n", why.c_str());
    return 0;
  }
  reef::ops::gpu::products();
  reef::ops::gpu::attentions();
  reef::ops::gpu::steps();
}
