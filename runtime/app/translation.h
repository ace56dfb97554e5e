#pragma once
// Translations held against their references, line by line.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "ops/tensor/context.h"
#include "runtime/app/model_folder.h"
#include "runtime/app/words.h"
#include "runtime/base/error.h"

namespace reef::app {

/// The lines of a text file. kPath when it cannot be read, kData naming the line that is not UTF-8.
Result<std::vector<std::string>> read_lines(const std::filesystem::path& file);

/// The most likely translation of each line, token by token, by a model of pairs
/// (actors/data/format/pairs.h): what it puts behind the line and its mark, up to the end, at most
/// `tokens`, and no further than its context. One line each.
/// Failure: kData when `words`, the model's, have no marks; kPoison as nn::generate().
Result<std::vector<std::string>> translate(ops::Context& context, const Model& model,
                                           const Words& words, std::span<const std::string> lines,
                                           std::size_t tokens);

struct TranslationScores {
  std::size_t lines = 0;
  double chrf = 0;  ///< both 0..100, as sacrebleu computes them by default
  double bleu = 0;
  double brevity_penalty = 0;  ///< a factor of BLEU
};
/// Precondition: equally many lines, one at least.
TranslationScores score_translations(std::span<const std::string> hypotheses,
                                     std::span<const std::string> references);

}  // namespace reef::app
