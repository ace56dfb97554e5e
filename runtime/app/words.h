#pragma once
// Text to tokens and back, as a model knows them: with its tokenizer, or byte by byte.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/data/format/tokenizer.h"
#include "runtime/base/error.h"

namespace reef::app {

/// Thread: any, it does not change.
class Words {
 public:
  /// The tokenizer of `file`, or if that is empty the one that belongs to `folder`
  /// (tokenizer_of()), or bytes. kData or kPath naming the file.
  static Result<Words> of(const std::filesystem::path& folder,
                          const std::filesystem::path& file = {});

  bool are_bytes() const { return !tokenizer_; }
  std::size_t vocabulary() const { return tokenizer_ ? tokenizer_->vocabulary() : 256; }
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// Bytes: a token may end within a character. Ids that do not exist are left out.
  std::string decode(std::int32_t token) const;
  /// The id of an added token, such as the marks of pairs.
  std::optional<std::int32_t> added(std::string_view text) const;
  /// Whether a text has the same tokens here and there.
  bool same_as(const Words& other) const;

 private:
  std::optional<data::Tokenizer> tokenizer_;
};

}  // namespace reef::app
