#include <iostream>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/huggingface_export.h"
#include "actors/data/format/tokenizer.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/model_folder.h"
#include "runtime/base/file.h"
#include "runtime/base/units.h"

namespace reef::app {

void add_export(CLI::App& app, Action& action) {
  struct Options {
    std::string checkpoint, output, shard_size = "5GB";
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "export", "Write a checkpoint as a Hugging Face folder (safetensors, config.json)");
  command
      ->add_option("--checkpoint", options->checkpoint,
                   "Checkpoint folder, runs/.../checkpoints/step-...")
      ->required();
  command
      ->add_option("--shard-size", options->shard_size,
                   "Cut weights of more than this into several files with an index")
      ->capture_default_str();
  command->add_option("output", options->output, "Folder to make")->required();
  command->callback([options, &action] {
    action = [options]() -> Result<int> {
      ATOLL_ASSIGN(const auto checkpoint, checkpoint::Checkpoint::open(options->checkpoint));
      const auto shard_bytes = parse_size(options->shard_size);
      if (!shard_bytes.ok()) {
        return Error{Code::kUsage, "--shard-size", shard_bytes.error().what};
      }
      checkpoint::ExportOptions to{.shard_bytes = *shard_bytes, .tokenizer = {}};
      if (const auto file = tokenizer_of(options->checkpoint)) {
        ATOLL_ASSIGN(to.tokenizer, read_file(*file, data::kMaxTokenizerBytes));
      }
      ATOLL_TRY(checkpoint::export_folder(checkpoint, options->output, to));
      std::cout << options->output << ": model of step " << checkpoint.step() << '\n';
      return 0;
    };
  });
}

}  // namespace reef::app
