#pragma once
// Learns a byte-pair vocabulary from text: the most frequent pair of neighbouring tokens becomes a
// token, over and over. Ties go to the pair of smaller ids, so the same text gives the same
// tokenizer.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "actors/data/format/tokenizer.h"

namespace reef::data {

/// Thread: one. Memory: every distinct piece of the text once, and where each pair of its tokens
/// stands.
class BpeTrainer {
 public:
  /// Counts the pieces of a text.
  void add(std::string_view text);
  /// A tokenizer of `vocabulary` tokens, the 256 bytes among them, or fewer when the text has no
  /// more pairs. Time: of a merge, what the words that it changes have. Precondition: at least 256.
  Tokenizer train(std::uint32_t vocabulary) const;

 private:
  std::unordered_map<std::string, std::int64_t> pieces_;
};

}  // namespace reef::data
