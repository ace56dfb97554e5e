// Fused attention, forward and backward, against what a user would compose: product, mask, softmax,
// product, each an op of this library on the tape, with every weight in memory.

#include <array>
#include <cmath>
#include <functional>

#include "ops/autograd/functions.h"
#include "ops/autograd/transforms.h"
#include "ops/cpu/thread_pool.h"
#include "ops/functional/functional.h"
#include "runtime/app/bench/bench.h"

namespace reef::app {

namespace {

using ops::Context;
using ops::Tape;
using ops::Tensor;
using ops::Variable;

constexpr double kTimeTarget = 3;
/// Twice the context may take this much more memory: linear, not square.
constexpr double kMemoryTarget = 2.1;
constexpr std::int64_t kHeads = 6;
constexpr std::int64_t kWidth = 64;

struct AttentionOptions {
  std::size_t threads = 1;
  std::int64_t context = 2048;
  int rounds = 5;
  bool json = false;
};

/// Queries, keys and values; then the gradient of the result.
std::array<Tensor, 4> operands(Context& context, const ops::Shape& shape) {
  std::array<Tensor, 4> all;
  std::uint32_t number = 0;
  for (Tensor& tensor : all) {
    tensor = ops::normal(context, ops::DType::kF32, shape, {.seed = 1, .op = number++});
  }
  return all;
}

/// Each operand (1, T, H, D).
void fused(Context& context, const std::array<Tensor, 4>& operands) {
  const ops::Function attention = [](Context& c, Tape& tape, std::span<const Variable> in) {
    return ops::attention(c, tape, in[0], in[1], in[2], {});
  };
  ops::vjp(context, attention, std::span(operands).first(3), operands[3]);
}

/// Each operand (1, H, T, D), which spares the products a copy; `mask` (T, T), 0 where a query sees
/// a key, far below any score elsewhere.
void composed(Context& context, const std::array<Tensor, 4>& operands, const Tensor& mask) {
  const ops::Function attention = [&mask](Context& c, Tape& tape, std::span<const Variable> in) {
    const Variable q = ops::affine(c, tape, in[0], 1 / std::sqrt(static_cast<double>(kWidth)));
    const Variable scores = ops::batch_matmul(c, tape, q, in[1], ops::Product::kNT);
    const Variable seen = ops::add(c, tape, scores, ops::constant(mask));
    return ops::batch_matmul(c, tape, ops::softmax(c, tape, seen), in[2]);
  };
  ops::vjp(context, attention, std::span(operands).first(3), operands[3]);
}

Tensor causal_mask(Context& context, std::int64_t length) {
  const Tensor mask = Tensor::zeros(context.pool(), ops::DType::kF32, {length, length});
  for (std::int64_t query = 0; query < length; ++query) {
    for (std::int64_t key = query + 1; key < length; ++key) {
      mask.data<float>()[query * length + key] = -1e30f;
    }
  }
  return mask;
}

double seconds_of(const std::function<void()>& work) {
  const Time start = system_clock().now();
  work();
  return seconds(system_clock().now() - start);
}

/// The most that fused attention over `length` has in use at once, its operands included.
double memory_of(std::size_t threads, std::int64_t length) {
  ops::ThreadPool context(threads);
  const auto all = operands(context, {1, length, kHeads, kWidth});
  fused(context, all);
  context.pool().reset_peak();
  fused(context, all);
  return static_cast<double>(context.pool().statistics().peak_bytes);
}

Result<int> bench_attention(const AttentionOptions& options) {
  ops::ThreadPool context(options.threads);
  const std::int64_t length = options.context;
  const auto by_position = operands(context, {1, length, kHeads, kWidth});
  const auto by_head = operands(context, {1, kHeads, length, kWidth});
  const Tensor mask = causal_mask(context, length);
  std::vector<double> ours, theirs;
  for (int round = 0; round <= options.rounds; ++round) {
    const double one = seconds_of([&] { fused(context, by_position); });
    const double other = seconds_of([&] { composed(context, by_head, mask); });
    if (round == 0) continue;  // fills the pool
    ours.push_back(1 / one);
    theirs.push_back(1 / other);
  }
  print_row({.name = "attention-per-second",
             .ours = median(std::move(ours)),
             .theirs = median(std::move(theirs)),
             .target = kTimeTarget,
             .at_least = true},
            options.json);
  print_row({.name = "attention-bytes-of-twice-the-context",
             .ours = memory_of(options.threads, 2 * length),
             .theirs = memory_of(options.threads, length),
             .target = kMemoryTarget},
            options.json);
  return 0;
}

}  // namespace

void add_bench_attention(CLI::App& bench, Action& action) {
  auto options = std::make_shared<AttentionOptions>();
  CLI::App* command = bench.add_subcommand(
      "attention", "Fused attention against a composition of ops, and how its memory grows");
  command->add_option("--threads", options->threads, "Compute threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->add_option("--context", options->context, "Tokens of the sequence")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--rounds", options->rounds, "Turns that each side takes")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_flag("--json", options->json, "Print lines of JSON");
  command->callback(
      [options, &action] { action = [options] { return bench_attention(*options); }; });
}

}  // namespace reef::app
