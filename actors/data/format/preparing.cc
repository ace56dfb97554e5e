#include "actors/data/format/preparing.h"

#include "actors/data/format/sha256.h"
#include "actors/data/format/token_shards.h"
#include "actors/data/format/tokenizer.h"
#include "runtime/base/file.h"

namespace reef::data {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMaxShardTokens = 0x7FFFFFFF;  // an int32 in the shard's header

/// The ids and what was left out follow from the rest.
bool same_pairs(const Manifest& a, const Manifest& b) {
  if (!a.pairs || !b.pairs) return a.pairs.has_value() == b.pairs.has_value();
  return a.pairs->from == b.pairs->from && a.pairs->to == b.pairs->to &&
         a.pairs->form.window == b.pairs->form.window;
}

bool same_origin(const Manifest& a, const Manifest& b) {
  return a.sources == b.sources && a.seed == b.seed && a.shard_tokens == b.shard_tokens &&
         a.validation_fraction == b.validation_fraction &&
         a.tokenizer_option == b.tokenizer_option && same_pairs(a, b) &&
         // A trained one follows from the rest.
         (b.tokenizer_sha256.empty() || a.tokenizer_sha256 == b.tokenizer_sha256);
}

}  // namespace

Status check_shard_tokens(std::uint64_t tokens) {
  if (tokens > 0 && tokens <= kMaxShardTokens) return {};
  return Error{Code::kUsage, "shard tokens",
               std::to_string(tokens) + " is not between 1 and 2147483647"};
}

Result<MappedFile> open_source(const fs::path& path) {
  std::error_code failure;
  const fs::path real = fs::canonical(path, failure);  // the user's own folder may hold links
  if (failure) return Error{Code::kPath, path.string(), "cannot read: " + failure.message()};
  return MappedFile::open(real);
}

Status describe(const TokenizerChoice& choice, const std::string& option, Manifest& manifest) {
  if (choice.kind == TokenizerChoice::Kind::kTrain) manifest.tokenizer_option = option;
  if (choice.kind != TokenizerChoice::Kind::kFile) return {};
  ATOLL_ASSIGN(const std::string text, read_file(choice.file, kMaxTokenizerBytes));
  manifest.tokenizer_option = "given";
  manifest.tokenizer_sha256 = sha256(as_bytes(text));
  return {};
}

Result<bool> already_made(const fs::path& output, const Manifest& wanted) {
  std::error_code failure;
  if (!fs::exists(output, failure)) return false;
  if (!fs::is_directory(output, failure)) {
    return Error{Code::kPath, output.string(), "is not a folder"};
  }
  if (fs::is_empty(output, failure)) return false;
  const auto existing = read_manifest(output);
  if (!existing.ok() || !same_origin(*existing, wanted)) {
    return Error{Code::kPath, output.string(),
                 "exists with other content; remove it or choose another output folder"};
  }
  if (!existing->tokenizer_sha256.empty()) {
    ATOLL_ASSIGN(const std::string text, read_file(output / kTokenizerName, kMaxTokenizerBytes));
    if (sha256(as_bytes(text)) != existing->tokenizer_sha256) {
      return Error{Code::kData, (output / kTokenizerName).string(),
                   "has changed since it was made"};
    }
  }
  for (const char* split : {"train", "validation"}) {
    const auto opened = TokenShards::open(output, split, true);
    if (!opened.ok()) return opened.error();
  }
  return true;
}

}  // namespace reef::data
