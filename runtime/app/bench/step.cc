// The training step of a small GPT-2 on one device, without actors, and how near it is to what the
// machine can do. tests/bench/README.md has the model and the tokens; compare_torch.py holds the
// result against PyTorch.

#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "ops/cpu/thread_pool.h"
#include "ops/nn/trainer.h"
#include "runtime/app/bench/bench.h"
#include "runtime/app/bench/gpt.h"
#include "runtime/app/bench/roofline.h"

namespace reef::app {

namespace {

constexpr std::uint64_t kWarmup = 2;  ///< steps that fill the pool and are not timed

struct StepOptions {
  std::string precision = "fp32";
  std::size_t threads = 1;
  std::uint64_t steps = 10;
  bool json = false;
  bool ops = false;
};

/// Inputs and targets of step `step`, counted from 0.
struct Batch {
  ops::Tensor tokens, targets;
  Batch(ops::Context& context, std::uint64_t step)
      : tokens(ops::Tensor::empty(context.pool(), ops::DType::kI32, {kBenchBatch, kBenchContext})),
        targets(
            ops::Tensor::empty(context.pool(), ops::DType::kI32, {kBenchBatch, kBenchContext})) {
    std::int32_t* token = tokens.data<std::int32_t>();
    std::int32_t* target = targets.data<std::int32_t>();
    for (std::int64_t row = 0; row < kBenchBatch; ++row) {
      auto value =
          static_cast<std::int32_t>((31 * static_cast<std::uint64_t>(row) + 17 * step) % 256);
      for (std::int64_t i = 0; i < kBenchContext; ++i) {
        *token++ = value;
        value = (5 * value + 17) % 256;
        *target++ = value;
      }
    }
  }
};

/// A field of /proc/self/status, in bytes; 0 where there is none.
std::uint64_t memory(std::string_view field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, field.size(), field) != 0) continue;
    std::istringstream numbers(line.substr(field.size() + 1));
    std::uint64_t kibibytes = 0;
    numbers >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

struct Measured {
  std::vector<double> tokens_per_second;
  double loss = 0;
  double seconds = 0;    ///< median
  std::vector<Ran> ran;  ///< every kernel of one step
};

Measured train(ops::Context& context, const StepOptions& options, nn::Precision precision) {
  nn::Trainer trainer(context, bench_gpt(), precision, 1);
  Measured measured;
  std::vector<double> seconds;
  const auto step = [&](std::uint64_t index) {
    const Batch batch(context, index);
    measured.loss = trainer.differentiate(batch.tokens, batch.targets, index + 1);
    trainer.update({.lr = 1e-3f,
                    .beta1 = 0.9f,
                    .beta2 = 0.95f,
                    .epsilon = 1e-8f,
                    .weight_decay = 0.1f,
                    .step = static_cast<std::int64_t>(index + 1)});
  };
  for (std::uint64_t index = 0; index < kWarmup + options.steps; ++index) {
    const auto began = std::chrono::steady_clock::now();
    step(index);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    if (index < kWarmup) continue;
    seconds.push_back(took.count());
    measured.tokens_per_second.push_back(kBenchBatch * kBenchContext / took.count());
  }
  measured.seconds = median(seconds);
  const CostMeter meter;
  step(kWarmup + options.steps);
  measured.ran = meter.ran();
  return measured;
}

void print(const nlohmann::ordered_json& line, bool json) {
  if (json) {
    std::cout << line.dump() << '\n';
    return;
  }
  for (const auto& [name, value] : line.items()) {
    if (!value.is_array()) std::cout << name << ": " << value.dump() << '\n';
  }
}

Result<int> bench_step(const StepOptions& options) {
  const auto precision = nn::precision_named(options.precision);
  if (!precision) {
    return Error{Code::kUsage, "--precision", "is fp32 or bf16, not '" + options.precision + "'"};
  }
  if (options.threads < 1 || options.steps < 1) {
    return Error{Code::kUsage, "bench step", "takes at least one thread and one step"};
  }
  const std::uint64_t standing = memory("VmRSS:");
  ops::ThreadPool context(options.threads);
  const Measured measured = train(context, options, *precision);
  const std::uint64_t peak = memory("VmHWM:");
  // Measured last: its matrices are no part of the step's memory.
  const Roofline roofline = measure_roofline(context);
  const nn::ModelSpec spec = nn::model_spec(bench_gpt());
  double flops = 0;  // of products and attention: the model's, backward being twice forward
  for (const nn::Layer& layer : spec.layers) flops += 3 * layer.forward_flops_per_token;
  flops *= kBenchBatch * kBenchContext;
  double least = 0;
  for (const Ran& one : measured.ran) least += least_seconds(roofline, one.cost);
  print({{"row", "step"},
         {"precision", options.precision},
         {"threads", options.threads},
         {"tokens_per_second", median(measured.tokens_per_second)},
         {"tokens_per_second_all", measured.tokens_per_second},
         {"loss", measured.loss},
         {"flops", flops},
         {"flops_per_second", flops / measured.seconds},
         {"matmul_peak", roofline.flops_per_second},
         {"bytes_per_second", roofline.bytes_per_second},
         {"peak_fraction", flops / measured.seconds / roofline.flops_per_second},
         {"roofline_fraction", least / measured.seconds},
         {"peak_rss_bytes", peak},
         {"standing_rss_bytes", standing}},
        options.json);
  if (options.ops) std::cout << profile_of(roofline, measured.ran);
  return 0;
}

}  // namespace

void add_bench_step(CLI::App& bench, Action& action) {
  auto options = std::make_shared<StepOptions>();
  CLI::App* command = bench.add_subcommand(
      "step", "Tokens a second of a small GPT-2 on this machine, and how near that is to its peak");
  command->add_option("--precision", options->precision, "fp32 or bf16")->capture_default_str();
  command->add_option("--threads", options->threads, "Compute threads")->capture_default_str();
  command->add_option("--steps", options->steps, "Steps to time")->capture_default_str();
  CLI::Option* json = command->add_flag("--json", options->json, "Print one line of JSON");
  command->add_flag("--ops", options->ops, "Print also where one step's time went, op by op")
      ->excludes(json);
  command->callback([options, &action] { action = [options] { return bench_step(*options); }; });
}

}  // namespace reef::app
