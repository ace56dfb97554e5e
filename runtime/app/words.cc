#include "runtime/app/words.h"

#include "runtime/app/model_folder.h"

namespace reef::app {

Result<Words> Words::of(const std::filesystem::path& folder, const std::filesystem::path& file) {
  Words words;
  const auto beside = file.empty() ? tokenizer_of(folder) : file;
  if (beside) {
    ATOLL_ASSIGN(words.tokenizer_, data::Tokenizer::read(*beside));
  }
  return words;
}

std::vector<std::int32_t> Words::encode(std::string_view text) const {
  std::vector<std::int32_t> tokens;
  if (tokenizer_) {
    tokenizer_->encode(text, tokens);
  } else {
    for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
  }
  return tokens;
}

std::string Words::decode(std::int32_t token) const {
  return tokenizer_ ? tokenizer_->decode({&token, 1}) : std::string(1, static_cast<char>(token));
}

std::optional<std::int32_t> Words::added(std::string_view text) const {
  return tokenizer_ ? tokenizer_->added(text) : std::nullopt;
}

bool Words::same_as(const Words& other) const {
  if (are_bytes() || other.are_bytes()) return are_bytes() == other.are_bytes();
  return tokenizer_->to_json() == other.tokenizer_->to_json();
}

}  // namespace reef::app
