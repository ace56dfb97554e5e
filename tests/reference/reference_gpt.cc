// Trains a small GPT from a fixed seed on a fixed stream and writes what happened, for compare.py
// to repeat in PyTorch. With --bench it times training steps instead.
//
//   reference_gpt OUT_FOLDER
//   reference_gpt --bench [threads]

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "ops/cpu/thread_pool.h"
#include "ops/nn/stage.h"
#include "runtime/base/file.h"
#include "runtime/base/random.h"

namespace {

using namespace reef;
using ops::Tensor;

constexpr std::uint64_t kSeed = 1234;
constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kSteps = 5;
constexpr float kWeightDecay = 0.1f;

/// Tokens with some structure, so that there is something to learn.
Tensor token_stream(const nn::GptConfig& config, std::uint64_t step) {
  const Random random(kSeed, "tokens");
  Tensor tokens =
      Tensor::empty(ops::Pool::host(), ops::DType::kI32, {kBatch, config.n_positions + 1});
  std::uint64_t index = 0;
  for (std::int32_t& token : tokens.values<std::int32_t>()) {
    const std::uint64_t noise =
        random.below(static_cast<std::uint64_t>(config.vocab_size) / 4, step, index);
    token = static_cast<std::int32_t>((noise + index % 7 * 13) %
                                      static_cast<std::uint64_t>(config.vocab_size));
    ++index;
  }
  return tokens;
}

/// Columns [first, first + length) of the stream.
Tensor window(const Tensor& stream, std::int64_t first, std::int64_t length) {
  Tensor part = Tensor::empty(ops::Pool::host(), ops::DType::kI32, {kBatch, length});
  for (std::int64_t row = 0; row < kBatch; ++row) {
    const std::int32_t* from = stream.data<std::int32_t>() + row * (length + 1) + first;
    std::copy(from, from + length, part.data<std::int32_t>() + row * length);
  }
  return part;
}

class Trainer {
 public:
  Trainer(ops::Context& context, const nn::GptConfig& config)
      : context_(context),
        config_(config),
        spec_(nn::model_spec(config)),
        stage_(spec_, 0, spec_.layers.size()) {
    for (const nn::Parameter& p : stage_.parameters()) {
      weights_[p.name] = nn::initial_value(p, kSeed);
      m_[p.name] = Tensor::zeros(ops::Pool::host(), ops::DType::kF32, ops::Shape(p.shape));
      v_[p.name] = Tensor::zeros(ops::Pool::host(), ops::DType::kF32, ops::Shape(p.shape));
    }
  }

  /// Forward and backward; fills grads() with the gradient of the mean loss, which is returned.
  double differentiate(const Tensor& tokens, const Tensor& targets, std::uint64_t step) {
    std::unique_ptr<ops::Tape> tape;
    const nn::Sample sample{kSeed, step, 0, true};
    const Tensor logits = stage_.forward(context_, weights_, tokens, sample, &tape);
    const auto count = static_cast<float>(targets.elements());
    nn::LossResult loss = nn::cross_entropy(context_, logits, targets, 1.0f / count, true);
    stage_.backward(context_, weights_, *tape, loss.grad_logits, grads_);
    return loss.loss_sum / static_cast<double>(loss.tokens);
  }

  /// Adds the uses of tied tensors and takes one AdamW step.
  void update(std::int64_t step) {
    ops::add_into(context_, grads_.at("wte.weight"), grads_.at("wte.weight@head"));
    grads_.erase("wte.weight@head");
    for (const nn::Parameter& p : stage_.parameters()) {
      const auto one = [&](const nn::Parameters& from) { return std::span(&from.at(p.name), 1); };
      ops::adamw(context_, {one(grads_), one(weights_), one(m_), one(v_), {}},
                 {.lr = 3e-3f,
                  .beta1 = 0.9f,
                  .beta2 = 0.95f,
                  .epsilon = 1e-8f,
                  .weight_decay = p.decay ? kWeightDecay : 0.0f,
                  .step = step});
    }
  }

  const nn::Stage& stage() const { return stage_; }
  const nn::ModelSpec& spec() const { return spec_; }
  const nn::Parameters& weights() const { return weights_; }
  nn::Parameters& grads() { return grads_; }

 private:
  ops::Context& context_;
  nn::GptConfig config_;
  nn::ModelSpec spec_;
  nn::Stage stage_;
  nn::Parameters weights_, m_, v_, grads_;
};

void write(const std::filesystem::path& path, const Tensor& tensor) {
  const Status written = write_file(path, tensor.bytes());
  if (!written.ok()) {
    std::cerr << written.error().text() << '\n';
    std::exit(1);
  }
}

int record(const std::filesystem::path& folder) {
  const nn::GptConfig config{
      .vocab_size = 96, .n_positions = 80, .n_embd = 64, .n_layer = 3, .n_head = 4};
  ops::ThreadPool context(2);
  Trainer trainer(context, config);
  nlohmann::json about = {{"config",
                           {{"vocab_size", config.vocab_size},
                            {"n_positions", config.n_positions},
                            {"n_embd", config.n_embd},
                            {"n_layer", config.n_layer},
                            {"n_head", config.n_head}}},
                          {"batch", kBatch},
                          {"weight_decay", kWeightDecay}};
  for (const nn::Parameter& p : trainer.stage().parameters()) {
    about["parameters"].push_back({{"name", p.name}, {"shape", p.shape}, {"decay", p.decay}});
    write(folder / ("weight." + p.name), trainer.weights().at(p.name));
  }
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const Tensor stream = token_stream(config, static_cast<std::uint64_t>(step));
    write(folder / ("tokens." + std::to_string(step)), stream);
    const double loss = trainer.differentiate(window(stream, 0, config.n_positions),
                                              window(stream, 1, config.n_positions),
                                              static_cast<std::uint64_t>(step));
    about["losses"].push_back(loss);
    trainer.update(step + 1);
    if (step > 0) continue;
    for (const auto& [name, grad] : trainer.grads()) write(folder / ("grad." + name), grad);
  }
  for (const auto& [name, weight] : trainer.weights()) write(folder / ("final." + name), weight);
  std::ofstream(folder / "about.json") << about.dump(1) << '\n';
  return 0;
}

int bench(std::size_t threads) {
  const nn::GptConfig config;
  ops::ThreadPool context(threads);
  Trainer trainer(context, config);
  const Tensor stream = token_stream(config, 0);
  const Tensor tokens = window(stream, 0, config.n_positions);
  const Tensor targets = window(stream, 1, config.n_positions);
  double flops = 0;
  for (const nn::Layer& layer : trainer.spec().layers) flops += 3 * layer.forward_flops_per_token;
  const auto count = static_cast<double>(tokens.elements());
  double best = 1e9;
  double best_update = 1e9;
  for (int i = 0; i < 60; ++i) {
    const auto start = std::chrono::steady_clock::now();
    trainer.differentiate(tokens, targets, 0);
    const auto middle = std::chrono::steady_clock::now();
    trainer.update(i + 1);
    const auto end = std::chrono::steady_clock::now();
    best = std::min(best, std::chrono::duration<double>(middle - start).count());
    best_update = std::min(best_update, std::chrono::duration<double>(end - middle).count());
  }
  std::cout << "parameters " << nn::parameter_count(trainer.spec()) << ", threads " << threads
            << ", forward+backward " << best * 1e3 << " ms, " << count / best << " tokens/s, "
            << flops * count / best * 1e-9 << " GFLOP/s; update " << best_update * 1e3
            << " ms; pool misses " << context.pool().statistics().misses << ", peak "
            << static_cast<double>(context.pool().statistics().peak_bytes) / 1048576 << " MiB\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (first == "--bench") return bench(argc > 2 ? std::stoul(argv[2]) : 1);
  if (first.empty() || first.starts_with('-')) {
    std::cerr << "usage: reference_gpt OUT_FOLDER | --bench [threads]\n";
    return 2;
  }
  return record(first);
}
