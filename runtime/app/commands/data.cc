#include <fmt/format.h>

#include <iostream>

#include "actors/data/format/prepare.h"
#include "actors/data/format/prepare_pairs.h"
#include "runtime/app/commands/commands.h"

namespace reef::app {
namespace {

struct DataOptions {
  data::PrepareOptions prepare;
  std::string input, output, pairs;
  std::uint32_t window = 128;
  bool json = false;
};

/// "en-es".
Result<data::Manifest> prepare_pairs(const DataOptions& options) {
  const std::size_t dash = options.pairs.find('-');
  data::PairOptions pairs;
  pairs.input = options.input;
  pairs.output = options.output;
  pairs.from = options.pairs.substr(0, dash);
  if (dash != options.pairs.npos) pairs.to = options.pairs.substr(dash + 1);
  pairs.window = options.window;
  pairs.shard_tokens = options.prepare.shard_tokens;
  pairs.seed = options.prepare.seed;
  pairs.tokenizer = options.prepare.tokenizer;
  return data::prepare_pairs(pairs);
}

Result<data::Manifest> prepare(const DataOptions& options) {
  if (!options.pairs.empty()) return prepare_pairs(options);
  data::PrepareOptions plain = options.prepare;
  plain.input = options.input;
  plain.output = options.output;
  return data::prepare(plain);
}

void print(const data::Manifest& manifest, const std::string& output) {
  std::cout << fmt::format("{}: {} tokens to train on, {} held out, vocabulary {}", output,
                           manifest.train.tokens, manifest.validation.tokens, manifest.vocab_size);
  if (manifest.pairs) {
    std::cout << fmt::format(", pairs in windows of {}, {} left out", manifest.pairs->form.window,
                             manifest.pairs->left_out);
  }
  std::cout << '\n';
}

}  // namespace

void add_data(CLI::App& app, Action& action) {
  auto options = std::make_shared<DataOptions>();
  CLI::App* command = app.add_subcommand("data", "Prepare training data");
  command->require_subcommand(1);
  CLI::App* prepare = command->add_subcommand(
      "prepare", "Turn a text file, a folder of .txt files, or pairs of lines into token shards");
  prepare->add_option("input", options->input, "Text file or folder")->required();
  prepare->add_option("output", options->output, "Folder to make")->required();
  CLI::Option* validation = prepare
                                ->add_option("--validation", options->prepare.validation_fraction,
                                             "Fraction held out, in whole chapters (lines '# ...')")
                                ->capture_default_str();
  prepare
      ->add_option("--tokenizer", options->prepare.tokenizer,
                   "bytes; train:4096, byte pairs learnt from the text; or a tokenizer.json")
      ->capture_default_str();
  prepare->add_option("--shard-tokens", options->prepare.shard_tokens, "Tokens in a shard")
      ->capture_default_str();
  prepare
      ->add_option("--pairs", options->pairs,
                   "en-es: the input folder has train.en, train.es, validation.en and "
                   "validation.es, line by line translations")
      ->excludes(validation);
  prepare->add_option("--window", options->window, "Of pairs: the context of jobs")
      ->capture_default_str();
  prepare
      ->add_option("--seed", options->prepare.seed,
                   "Chooses the chapters that are held out, and the order of pairs")
      ->capture_default_str();
  prepare->add_flag("--json", options->json, "Print the manifest as JSON");
  prepare->callback([options, &action] {
    action = [options]() -> Result<int> {
      ATOLL_ASSIGN(const auto manifest, app::prepare(*options));
      if (options->json) {
        std::cout << data::to_json(manifest) << '\n';
      } else {
        print(manifest, options->output);
      }
      return 0;
    };
  });
}

}  // namespace reef::app
