#include "runtime/app/translation.h"

#include <algorithm>

#include "actors/data/format/pairs.h"
#include "actors/metrics/translation/bleu.h"
#include "actors/metrics/translation/chrf.h"
#include "ops/nn/generation.h"
#include "runtime/base/file.h"
#include "runtime/base/utf8.h"

namespace reef::app {

Result<std::vector<std::string>> read_lines(const std::filesystem::path& file) {
  ATOLL_ASSIGN(const std::string text, read_file(file));
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
    if (first_bad_utf8(lines.back()) == lines.back().size()) continue;
    return Error{Code::kData, file.string() + ":" + std::to_string(lines.size()),
                 "is not text in UTF-8; convert the file, for instance with iconv -t utf-8"};
  }
  return lines;
}

Result<std::vector<std::string>> translate(ops::Context& context, const Model& model,
                                           const Words& words, std::span<const std::string> lines,
                                           std::size_t tokens) {
  const auto separator = words.added(data::kSeparator), end = words.added(data::kEnd);
  if (!separator || !end) {
    return Error{
        Code::kData, "--translate",
        "the model's tokenizer has no <|sep|> and <|end|>; train it on data of 'atoll data "
        "prepare --pairs'"};
  }
  std::vector<std::vector<std::int32_t>> prompts;
  for (const std::string& line : lines) {
    prompts.push_back(words.encode(line));
    prompts.back().push_back(*separator);
  }
  const nn::Generation how{.tokens = tokens,
                           .sampling = {.temperature = 0},
                           .vocabulary = words.vocabulary(),
                           .end = *end,
                           .beyond_context = false};
  ATOLL_ASSIGN(const auto found, nn::generate(context, model.spec, model.weights, prompts, how));
  std::vector<std::string> translations;
  for (const auto& continuation : found) {
    std::string& text = translations.emplace_back();
    for (const std::int32_t token : continuation) {
      if (token != *end) text += words.decode(token);
    }
    std::ranges::replace(text, '\n', ' ');
  }
  return translations;
}

TranslationScores score_translations(std::span<const std::string> hypotheses,
                                     std::span<const std::string> references) {
  CHECK(!hypotheses.empty() && hypotheses.size() == references.size())
      << hypotheses.size() << " lines against " << references.size();
  translation::Chrf chrf;
  translation::Bleu bleu;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    chrf.add(hypotheses[i], references[i]);
    bleu.add(hypotheses[i], references[i]);
  }
  return {hypotheses.size(), chrf.score(), bleu.score(), bleu.brevity_penalty()};
}

}  // namespace reef::app
