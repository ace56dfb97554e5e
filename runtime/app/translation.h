#pragma once
// Translations held against their references, line by line.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace reef::app {

/// The lines of a text file. kPath when it cannot be read, kData naming the line that is not UTF-8.
Result<std::vector<std::string>> read_lines(const std::filesystem::path& file);

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
