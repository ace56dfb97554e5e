#pragma once
// What turns text into the tokens of shards: each byte as it is, or a tokenizer. Private to
// actors/data/format.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/data/format/tokenizer.h"
#include "runtime/base/error.h"

namespace reef::data {

/// As the user says it: "bytes", "train:4096" or the path of a tokenizer.json.
struct TokenizerChoice {
  enum class Kind : std::uint8_t { kBytes, kTrain, kFile };
  Kind kind = Kind::kBytes;
  std::uint32_t vocabulary = 0;  ///< to train
  std::string file;
};
/// kUsage for a vocabulary that no shard can hold.
Result<TokenizerChoice> parse_tokenizer_choice(const std::string& text);

/// Thread: one. Memory: spans that it gives are good until the next call.
class TextEncoder {
 public:
  /// Bytes.
  TextEncoder() = default;
  /// kData when tokens of 16 bits cannot name the vocabulary.
  static Result<TextEncoder> of(Tokenizer tokenizer, const std::string& where);

  std::span<const std::uint16_t> encode(std::string_view text);
  std::uint32_t vocabulary() const { return tokenizer_ ? tokenizer_->vocabulary() : 256; }

 private:
  std::optional<Tokenizer> tokenizer_;
  PieceCache cache_;
  std::vector<TokenId> ids_;
  std::vector<std::uint16_t> tokens_;
};

}  // namespace reef::data
