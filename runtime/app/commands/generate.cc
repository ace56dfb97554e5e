#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <optional>

#include "actors/data/format/tokenizer.h"
#include "ops/cpu/thread_pool.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/model_folder.h"
#include "runtime/base/random.h"

namespace reef::app {
namespace {

struct GenerateOptions {
  std::string checkpoint, prompt, tokenizer;
  std::size_t tokens = 200;
  double temperature = 0.8;
  std::size_t top_k = 40;
  std::uint64_t seed = 1;
};

/// Draws from the `top_k` most likely tokens at a temperature; temperature 0 takes the most likely.
std::int32_t draw(std::span<const float> logits, const GenerateOptions& options, float uniform) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const std::size_t kept = std::clamp<std::size_t>(options.top_k, 1, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                    [&](std::int32_t a, std::int32_t b) {
                      return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
                    });
  if (options.temperature <= 0) return order[0];
  std::vector<double> weights(kept);
  for (std::size_t i = 0; i < kept; ++i) {
    weights[i] = std::exp((logits[order[i]] - logits[order[0]]) / options.temperature);
  }
  double left = uniform * std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t i = 0; i + 1 < kept; ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[kept - 1];
}

/// Text to tokens and back: with a tokenizer, or byte by byte.
class Words {
 public:
  static Result<Words> of(const GenerateOptions& options) {
    Words words;
    auto file = tokenizer_of(options.checkpoint);
    if (!options.tokenizer.empty()) file = options.tokenizer;
    if (file) {
      ATOLL_ASSIGN(words.tokenizer_, data::Tokenizer::read(*file));
    }
    return words;
  }

  std::size_t vocabulary() const { return tokenizer_ ? tokenizer_->vocabulary() : 256; }
  std::vector<std::int32_t> encode(const std::string& text) const {
    std::vector<std::int32_t> tokens;
    if (tokenizer_) {
      tokenizer_->encode(text, tokens);
    } else {
      for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
    }
    return tokens;
  }
  std::string decode(std::int32_t token) const {
    return tokenizer_ ? tokenizer_->decode({&token, 1}) : std::string(1, static_cast<char>(token));
  }

 private:
  std::optional<data::Tokenizer> tokenizer_;
};

Result<int> generate(const GenerateOptions& options) {
  if (options.prompt.empty())
    return Error{Code::kUsage, "--prompt", "is empty; give at least one character"};
  ops::ThreadPool context(1);
  ATOLL_ASSIGN(const Words words, Words::of(options));
  ATOLL_ASSIGN(const Model model, load_model(context, options.checkpoint));
  const auto vocabulary = static_cast<std::size_t>(nn::vocabulary_of(model.spec.config));
  const auto longest = static_cast<std::size_t>(nn::longest_context_of(model.spec.config));
  if (vocabulary < words.vocabulary()) {
    return Error{Code::kCheckpoint, options.checkpoint,
                 "has a vocabulary of " + std::to_string(vocabulary) + ", the tokenizer one of " +
                     std::to_string(words.vocabulary()) + "; --tokenizer names another"};
  }
  const nn::Stage stage(model.spec, 0, model.spec.layers.size());
  const Random random(options.seed, "generate");
  std::vector<std::int32_t> text = words.encode(options.prompt);
  std::cout << options.prompt;
  for (std::size_t i = 0; i < options.tokens; ++i) {
    const std::size_t length = std::min(text.size(), longest);
    const std::span<const std::int32_t> window(text.end() - static_cast<std::ptrdiff_t>(length),
                                               text.end());
    const auto tokens =
        ops::Tensor::from(context.pool(), {1, static_cast<std::int64_t>(length)}, window);
    const auto logits = stage.forward(context, model.weights, tokens, {.training = false}, nullptr);
    // A model may know more tokens than its tokenizer: vocabularies are padded to round numbers.
    const auto last = logits.values<float>().subspan((length - 1) * vocabulary, words.vocabulary());
    text.push_back(draw(last, options, random.uniform(0, i)));
    std::cout << words.decode(text.back()) << std::flush;
  }
  std::cout << '\n';
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "Continue a text with a trained model");
  command
      ->add_option("--checkpoint", options->checkpoint,
                   "Checkpoint, run folder or Hugging Face folder")
      ->required();
  command->add_option("--prompt", options->prompt, "Text to continue")->required();
  command->add_option("--tokenizer", options->tokenizer,
                      "tokenizer.json; default the one beside the model, or else bytes");
  command->add_option("--tokens", options->tokens, "How many tokens to add")->capture_default_str();
  command->add_option("--temperature", options->temperature, "0 takes the most likely token")
      ->capture_default_str();
  command->add_option("--top-k", options->top_k, "Draw from this many likely tokens")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Same seed, same text")->capture_default_str();
  command->callback([options, &action] { action = [options] { return generate(*options); }; });
}

}  // namespace reef::app
