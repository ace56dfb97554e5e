#include "actors/data/format/text_encoder.h"

#include <charconv>

namespace reef::data {
namespace {

constexpr std::uint32_t kMaxVocabulary = 65536;  // tokens are uint16

}  // namespace

Result<TokenizerChoice> parse_tokenizer_choice(const std::string& text) {
  using Kind = TokenizerChoice::Kind;
  constexpr std::string_view kTrain = "train:";
  if (text == "bytes") return TokenizerChoice{};
  if (!text.starts_with(kTrain)) return TokenizerChoice{Kind::kFile, 0, text};
  std::uint32_t vocabulary = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + kTrain.size(), end, vocabulary);
  if (read.ec != std::errc() || read.ptr != end || vocabulary < 257 ||
      vocabulary > kMaxVocabulary) {
    return Error{
        Code::kUsage, "--tokenizer " + text,
        "a vocabulary is a number from 257 to 65536: each byte, and pairs; such as train:4096"};
  }
  return TokenizerChoice{Kind::kTrain, vocabulary, {}};
}

Result<TextEncoder> TextEncoder::of(Tokenizer tokenizer, const std::string& where) {
  if (tokenizer.vocabulary() > kMaxVocabulary) {
    return Error{Code::kData, where,
                 "has " + std::to_string(tokenizer.vocabulary()) +
                     " tokens; those of shards are of 16 bits, at most 65536"};
  }
  TextEncoder encoder;
  encoder.tokenizer_ = std::move(tokenizer);
  return encoder;
}

std::span<const std::uint16_t> TextEncoder::encode(std::string_view text) {
  tokens_.clear();
  if (!tokenizer_) {
    for (const char byte : text) tokens_.push_back(static_cast<unsigned char>(byte));
    return tokens_;
  }
  ids_.clear();
  tokenizer_->encode(text, ids_, &cache_);
  tokens_.assign(ids_.begin(), ids_.end());
  return tokens_;
}

}  // namespace reef::data
