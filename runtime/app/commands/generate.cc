#include <iostream>

#include "ops/cpu/thread_pool.h"
#include "ops/nn/generation.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/model_folder.h"
#include "runtime/app/words.h"

namespace reef::app {
namespace {

struct GenerateOptions {
  std::string checkpoint, prompt, tokenizer;
  std::size_t tokens = 200;
  nn::Sampling sampling;
  std::uint64_t seed = 1;
};

Result<int> generate(const GenerateOptions& options) {
  if (options.prompt.empty())
    return Error{Code::kUsage, "--prompt", "is empty; give at least one character"};
  ops::ThreadPool context(1);
  ATOLL_ASSIGN(const Words words, Words::of(options.checkpoint, options.tokenizer));
  ATOLL_ASSIGN(const Model model, load_model(context, options.checkpoint));
  const auto vocabulary = static_cast<std::size_t>(nn::vocabulary_of(model.spec.config));
  if (vocabulary < words.vocabulary()) {
    return Error{Code::kCheckpoint, options.checkpoint,
                 "has a vocabulary of " + std::to_string(vocabulary) + ", the tokenizer one of " +
                     std::to_string(words.vocabulary()) + "; --tokenizer names another"};
  }
  std::cout << options.prompt << std::flush;
  // A model may know more tokens than its tokenizer.
  const nn::Generation how{.tokens = options.tokens,
                           .sampling = options.sampling,
                           .seed = options.seed,
                           .vocabulary = words.vocabulary()};
  const auto print = [&words](std::size_t, std::int32_t token) {
    std::cout << words.decode(token) << std::flush;
  };
  ATOLL_TRY(
      nn::generate(context, model.spec, model.weights, {words.encode(options.prompt)}, how, print));
  std::cout << '\n';
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "Continue a text with a trained model");
  command
      ->add_option("model,--checkpoint", options->checkpoint,
                   "Run folder, checkpoint or Hugging Face folder")
      ->required();
  command->add_option("--prompt", options->prompt, "Text to continue")->required();
  command->add_option("--tokenizer", options->tokenizer,
                      "tokenizer.json; default the one beside the model, or else bytes");
  command->add_option("--tokens", options->tokens, "How many tokens to add")->capture_default_str();
  command
      ->add_option("--temperature", options->sampling.temperature, "0 takes the most likely token")
      ->capture_default_str();
  command
      ->add_option("--top-k", options->sampling.top_k, "Draw from this many likely tokens; 0: all")
      ->capture_default_str();
  command
      ->add_option("--top-p", options->sampling.top_p,
                   "Draw from the fewest likely tokens that have this probability together")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Same seed, same text")->capture_default_str();
  command->callback([options, &action] { action = [options] { return generate(*options); }; });
}

}  // namespace reef::app
