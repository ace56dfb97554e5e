#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "ops/cpu/thread_pool.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/held_out_loss.h"
#include "runtime/app/model_folder.h"
#include "runtime/app/translation.h"
#include "runtime/app/words.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"

namespace reef::app {
namespace {

struct EvaluateOptions {
  std::string model, precision = "fp32";
  HeldOutOptions held_out;
  std::string data, translate, hypotheses, references, output;
  std::size_t limit = 0;  ///< lines to translate; 0: all
  std::size_t tokens = 256;
  std::size_t threads = std::max(1u, std::thread::hardware_concurrency());
  bool json = false;
};

Result<Model> model_of(const EvaluateOptions& options, ops::Context& context) {
  const auto precision = nn::precision_named(options.precision);
  if (!precision) {
    return Error{Code::kUsage, "--precision", "'" + options.precision + "' is not fp32 or bf16"};
  }
  return load_model(context, options.model, *precision);
}

/// The tokens of the data, which must be those that the model was trained on.
Result<Words> words_of(const EvaluateOptions& options) {
  ATOLL_ASSIGN(Words data, Words::of(options.data));
  if (!tokenizer_of(options.model)) return data;  // the vocabulary is held against the data's
  ATOLL_ASSIGN(const Words model, Words::of(options.model));
  if (model.same_as(data)) return data;
  return Error{Code::kData, options.data,
               "was made with another tokenizer than the model's; prepare the text with "
               "--tokenizer " +
                   tokenizer_of(options.model)->string()};
}

void print_loss(const HeldOutLoss& found, bool json) {
  if (json) {
    nlohmann::ordered_json line;
    line["loss"] = found.per_token();
    line["perplexity"] = std::exp(found.per_token());
    if (found.bytes > 0) line["bits_per_byte"] = found.bits_per_byte();
    line["tokens"] = found.tokens;
    line["bytes"] = found.bytes;
    line["windows"] = found.windows;
    line["context"] = found.context;
    std::cout << line.dump() << '\n';
    return;
  }
  std::cout << fmt::format("loss {:.4f} nats/token  perplexity {:.4g}", found.per_token(),
                           std::exp(found.per_token()));
  if (found.bytes > 0) std::cout << fmt::format("  {:.4f} bits/byte", found.bits_per_byte());
  std::cout << fmt::format("  ({} tokens in {} windows of {})\n", found.tokens, found.windows,
                           found.context);
}

void print_scores(const TranslationScores& scores, bool json) {
  if (json) {
    nlohmann::ordered_json line;
    line["chrf"] = scores.chrf;
    line["bleu"] = scores.bleu;
    line["brevity_penalty"] = scores.brevity_penalty;
    line["lines"] = scores.lines;
    std::cout << line.dump() << '\n';
    return;
  }
  std::cout << fmt::format("chrF {:.2f}  BLEU {:.2f} (brevity penalty {:.3f})  of {} lines\n",
                           scores.chrf, scores.bleu, scores.brevity_penalty, scores.lines);
}

Result<int> evaluate_loss(const EvaluateOptions& options) {
  ops::ThreadPool context(options.threads);
  ATOLL_ASSIGN(const Words words, words_of(options));
  ATOLL_ASSIGN(const Model model, model_of(options, context));
  HeldOutOptions held_out = options.held_out;
  held_out.data = options.data;
  ATOLL_ASSIGN(const HeldOutLoss found, held_out_loss(context, model, words, held_out));
  print_loss(found, options.json);
  return 0;
}

/// Two files of equally many lines, one at least.
struct LinePairs {
  std::vector<std::string> ours, references;
};
Result<LinePairs> read_pairs(const std::string& ours, const std::string& references) {
  LinePairs pairs;
  ATOLL_ASSIGN(pairs.ours, read_lines(ours));
  ATOLL_ASSIGN(pairs.references, read_lines(references));
  if (pairs.references.empty()) return Error{Code::kData, references, "has no line"};
  if (pairs.ours.size() == pairs.references.size()) return pairs;
  return Error{Code::kData, ours,
               "has " + std::to_string(pairs.ours.size()) + " lines, " + references + " has " +
                   std::to_string(pairs.references.size()) + "; line i is held against line i"};
}

Result<int> evaluate_lines(const EvaluateOptions& options) {
  ATOLL_ASSIGN(const LinePairs pairs, read_pairs(options.hypotheses, options.references));
  print_scores(score_translations(pairs.ours, pairs.references), options.json);
  return 0;
}

Result<int> evaluate_translation(const EvaluateOptions& options) {
  ATOLL_ASSIGN(const LinePairs pairs, read_pairs(options.translate, options.references));
  const std::size_t count =
      options.limit == 0 ? pairs.ours.size() : std::min(options.limit, pairs.ours.size());
  const auto sources = std::span<const std::string>(pairs.ours).first(count);
  const auto references = std::span<const std::string>(pairs.references).first(count);
  ops::ThreadPool context(options.threads);
  ATOLL_ASSIGN(const Words words, Words::of(options.model));
  ATOLL_ASSIGN(const Model model, model_of(options, context));
  if (words.vocabulary() > static_cast<std::size_t>(nn::vocabulary_of(model.spec.config))) {
    return Error{Code::kCheckpoint, options.model, "has fewer tokens than its tokenizer"};
  }
  ATOLL_ASSIGN(const auto found, translate(context, model, words, sources, options.tokens));
  if (!options.output.empty()) {
    ATOLL_TRY(write_file(options.output, as_bytes(join(found, "\n") + "\n")));
  }
  print_scores(score_translations(found, references), options.json);
  return 0;
}

/// One of the three things that are asked for, or how to ask.
Result<int> evaluate(const EvaluateOptions& options) {
  const bool model = !options.model.empty(), data = !options.data.empty();
  const bool translated = !options.translate.empty(), lines = !options.hypotheses.empty();
  const bool references = !options.references.empty();
  if (model && data && !translated && !lines && !references) return evaluate_loss(options);
  if (model && !data && translated && !lines && references) return evaluate_translation(options);
  if (!model && !data && !translated && lines && references) return evaluate_lines(options);
  return Error{Code::kUsage, "evaluate",
               "give MODEL --data FOLDER, MODEL --translate FILE --references FILE, or "
               "--hypotheses FILE --references FILE"};
}

}  // namespace

void add_evaluate(CLI::App& app, Action& action) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Say how good a trained model is, or a translation");
  command->add_option("model", options->model, "Run folder, checkpoint or Hugging Face folder");
  command->add_option("--data", options->data,
                      "Folder of 'atoll data prepare': the loss on its held-out part");
  command->add_option("--hypotheses", options->hypotheses,
                      "Text file of translations, a line each: chrF and BLEU");
  command->add_option("--translate", options->translate,
                      "Text file of lines that the model, of pairs, translates: chrF and BLEU");
  command->add_option("--references", options->references,
                      "What the translations should have been");
  command->add_option("--limit", options->limit, "Translate the first so many lines only");
  command->add_option("--tokens", options->tokens, "The longest translation")
      ->capture_default_str();
  command->add_option("--output", options->output, "Write the translations to this file");
  command->add_option(
      "--context", options->held_out.context,
      "Tokens of a window; default the model's longest context, of pairs the data's");
  command->add_option("--windows", options->held_out.windows,
                      "How many windows, from the first on; default each one once");
  command->add_option("--precision", options->precision, "What to compute in: fp32 or bf16")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Compute threads; default all")
      ->check(CLI::Range(1, 256));
  command->add_flag("--json", options->json, "Print one line of JSON");
  command->callback([options, &action] { action = [options] { return evaluate(*options); }; });
}

}  // namespace reef::app
