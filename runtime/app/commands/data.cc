#include <fmt/format.h>

#include <iostream>

#include "actors/data/format/prepare.h"
#include "runtime/app/commands/commands.h"

namespace reef::app {

void add_data(CLI::App& app, Action& action) {
  struct Options {
    data::PrepareOptions prepare;
    std::string input, output;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("data", "Prepare training data");
  command->require_subcommand(1);
  CLI::App* prepare = command->add_subcommand(
      "prepare", "Turn a text file, or a folder of .txt files, into token shards");
  prepare->add_option("input", options->input, "Text file or folder")->required();
  prepare->add_option("output", options->output, "Folder to make")->required();
  prepare
      ->add_option("--validation", options->prepare.validation_fraction,
                   "Fraction held out, in whole chapters (lines '# ...')")
      ->capture_default_str();
  prepare
      ->add_option("--tokenizer", options->prepare.tokenizer,
                   "bytes; train:4096, byte pairs learnt from the text; or a tokenizer.json")
      ->capture_default_str();
  prepare->add_option("--shard-tokens", options->prepare.shard_tokens, "Tokens in a shard")
      ->capture_default_str();
  prepare->add_option("--seed", options->prepare.seed, "Chooses the chapters that are held out")
      ->capture_default_str();
  prepare->add_flag("--json", options->json, "Print the manifest as JSON");
  prepare->callback([options, &action] {
    action = [options]() -> Result<int> {
      options->prepare.input = options->input;
      options->prepare.output = options->output;
      ATOLL_ASSIGN(const auto manifest, data::prepare(options->prepare));
      if (options->json) {
        std::cout << data::to_json(manifest) << '\n';
      } else {
        std::cout << fmt::format("{}: {} tokens to train on, {} held out, vocabulary {}\n",
                                 options->output, manifest.train.tokens, manifest.validation.tokens,
                                 manifest.vocab_size);
      }
      return 0;
    };
  });
}

}  // namespace reef::app
