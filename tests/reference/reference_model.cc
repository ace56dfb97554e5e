// Differentiates the loss of a model that starts from a fixed seed and writes all that
// transformers_compare.py needs to repeat it.
//
//   reference_model CONFIG_JSON OUT_FOLDER

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "ops/cpu/thread_pool.h"
#include "ops/nn/config_json.h"
#include "ops/nn/trainer.h"
#include "runtime/base/file.h"
#include "runtime/base/random.h"

namespace {

using namespace reef;
using ops::Tensor;

constexpr std::uint64_t kSeed = 1234;
constexpr std::int64_t kBatch = 3;

Tensor random_tokens(const nn::ModelConfig& config, const char* purpose) {
  const Random random(kSeed, purpose);
  Tensor tokens =
      Tensor::empty(ops::Pool::host(), ops::DType::kI32, {kBatch, nn::longest_context_of(config)});
  std::uint64_t index = 0;
  for (std::int32_t& token : tokens.values<std::int32_t>()) {
    token = static_cast<std::int32_t>(
        random.below(static_cast<std::uint64_t>(nn::vocabulary_of(config)), 0, index++));
  }
  return tokens;
}

void write(const std::filesystem::path& path, const Tensor& tensor) {
  const Status written = write_file(path, tensor.bytes());
  if (written.ok()) return;
  std::cerr << written.error().text() << '\n';
  std::exit(1);
}

int record(const std::string& path, const std::filesystem::path& folder) {
  const auto json = nlohmann::json::parse(std::ifstream(path), nullptr, false);
  const auto config = nn::config_from_json(json, Code::kUsage, path);
  if (!config.ok()) {
    std::cerr << config.error().text() << '\n';
    return 2;
  }
  ops::ThreadPool context(2);
  nn::Trainer trainer(context, *config, nn::Precision::kF32, kSeed);
  const Tensor tokens = random_tokens(*config, "tokens");
  const Tensor targets = random_tokens(*config, "targets");
  nlohmann::json about = {{"loss", trainer.differentiate(tokens, targets, 1)}};
  write(folder / "tokens", tokens);
  write(folder / "targets", targets);
  for (const nn::Parameter& parameter : trainer.stage().parameters()) {
    about["parameters"].push_back({{"name", parameter.name}, {"shape", parameter.shape}});
    write(folder / ("weight." + parameter.name), trainer.masters().at(parameter.name));
    write(folder / ("grad." + parameter.name), trainer.gradients().at(parameter.name));
  }
  std::ofstream(folder / "about.json") << about.dump(1) << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) return record(argv[1], argv[2]);
  std::cerr << "usage: reference_model CONFIG_JSON OUT_FOLDER\n";
  return 2;
}
