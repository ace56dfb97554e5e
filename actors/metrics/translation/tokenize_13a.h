#pragma once
// The words that BLEU counts: the rules of mteval-v13a, the script of NIST's evaluations, which
// sacrebleu calls 13a. For European languages. Private to actors/metrics/translation.

#include <string>
#include <string_view>

namespace reef::translation {

/// The line with spaces around what is a word of its own: most punctuation always; points and
/// commas unless they stand between digits; a hyphen behind a digit. "<skipped>" is left out and
/// the entities of &, <, > and " are resolved.
std::u32string tokenize_13a(std::u32string_view line);

}  // namespace reef::translation
