#include "actors/data/format/manifest.h"

#include <nlohmann/json.hpp>

#include "actors/data/format/mapped_file.h"
#include "actors/data/format/strict_json.h"
#include "actors/data/format/tokenizer.h"

namespace reef::data {
namespace {

using nlohmann::json;

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxManifestBytes = 16 << 20;
constexpr std::uint32_t kMaxVocabulary = 65536;        // tokens are uint16
constexpr std::uint64_t kMaxShardTokens = 0x7FFFFFFF;  // the count in a shard's header is an int32

json shards_to_json(const Split& split) {
  json shards = json::array();
  for (const ShardInfo& shard : split.shards) {
    shards.push_back({{"file", shard.file}, {"tokens", shard.tokens}, {"sha256", shard.sha256}});
  }
  return {{"tokens", split.tokens}, {"shards", std::move(shards)}};
}

/// Reads fields of one manifest; an absent or wrong one is an Error naming it, never an exception.
class Reader {
 public:
  explicit Reader(std::string_view where) : where_(where) {}

  Error bad(const std::string& what) const { return {Code::kData, where_, what}; }

  Result<const json*> field(const json& object, const char* name) const {
    const auto found = object.is_object() ? object.find(name) : object.end();
    if (!object.is_object() || found == object.end()) {
      return bad(std::string("'") + name + "' is missing");
    }
    return &*found;
  }

  Result<std::string> text(const json& object, const char* name) const {
    ATOLL_ASSIGN(const json* value, field(object, name));
    if (!value->is_string()) return bad(std::string("'") + name + "' is not a string");
    return value->get<std::string>();
  }

  Result<std::uint64_t> number(const json& object, const char* name, std::uint64_t limit) const {
    ATOLL_ASSIGN(const json* value, field(object, name));
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > limit) {
      return bad(std::string("'") + name + "' is not a number up to " + std::to_string(limit));
    }
    return value->get<std::uint64_t>();
  }

  Result<double> fraction(const json& object, const char* name) const {
    ATOLL_ASSIGN(const json* value, field(object, name));
    if (!value->is_number()) return bad(std::string("'") + name + "' is not a number");
    return value->get<double>();
  }

  Result<std::string> digest(const json& object, const std::string& name = "sha256") const {
    ATOLL_ASSIGN(std::string value, text(object, name.c_str()));
    if (value.size() != 64 || value.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return bad("'" + name + "' is not 64 lower-case hexadecimal digits");
    }
    return value;
  }

  Result<const json*> list(const json& object, const char* name) const {
    ATOLL_ASSIGN(const json* value, field(object, name));
    if (!value->is_array()) return bad(std::string("'") + name + "' is not a list");
    return value;
  }

  Result<Split> split(const json& splits, const char* name) const {
    ATOLL_ASSIGN(const json* object, field(splits, name));
    ATOLL_ASSIGN(const json* shards, list(*object, "shards"));
    Split split;
    ATOLL_ASSIGN(split.tokens, number(*object, "tokens", UINT64_MAX));
    std::uint64_t sum =
        0;  // at most 2^31 each and fewer than 2^24 shards in a manifest: no overflow
    for (const json& entry : *shards) {
      ShardInfo shard;
      ATOLL_ASSIGN(shard.file, text(entry, "file"));
      ATOLL_TRY(check_file_name(shard.file, where_));
      ATOLL_ASSIGN(shard.tokens, number(entry, "tokens", kMaxShardTokens));
      ATOLL_ASSIGN(shard.sha256, digest(entry));
      sum += shard.tokens;
      split.shards.push_back(std::move(shard));
    }
    if (sum != split.tokens) {
      return bad(std::string(name) + " says " + std::to_string(split.tokens) +
                 " tokens; its shards have " + std::to_string(sum));
    }
    return split;
  }

  Result<std::vector<SourceInfo>> sources(const json& document) const {
    ATOLL_ASSIGN(const json* entries, list(document, "sources"));
    std::vector<SourceInfo> sources;
    for (const json& entry : *entries) {
      SourceInfo source;
      ATOLL_ASSIGN(source.file, text(entry, "file"));
      ATOLL_ASSIGN(source.bytes, number(entry, "bytes", UINT64_MAX));
      ATOLL_ASSIGN(source.sha256, digest(entry));
      sources.push_back(std::move(source));
    }
    return sources;
  }

  Result<std::optional<PairInfo>> pairs(const json& document, std::uint32_t vocabulary) const {
    if (!document.contains("pairs")) return std::optional<PairInfo>();
    const json& object = document.at("pairs");
    PairInfo pairs;
    ATOLL_ASSIGN(pairs.from, text(object, "from"));
    ATOLL_ASSIGN(pairs.to, text(object, "to"));
    ATOLL_ASSIGN(const std::uint64_t window, number(object, "window", kMaxWindow));
    if (window == 0) return bad("'window' is 0");
    ATOLL_ASSIGN(const std::uint64_t separator, number(object, "separator", kMaxVocabulary));
    ATOLL_ASSIGN(const std::uint64_t end, number(object, "end", kMaxVocabulary));
    if (separator >= vocabulary || end >= vocabulary || separator == end) {
      return bad("'separator' and 'end' are not two tokens of the vocabulary");
    }
    pairs.form = {static_cast<std::uint32_t>(window), static_cast<std::int32_t>(separator),
                  static_cast<std::int32_t>(end)};
    ATOLL_ASSIGN(pairs.left_out, number(object, "left_out", UINT64_MAX));
    return std::optional(std::move(pairs));
  }

 private:
  std::string where_;
};

}  // namespace

std::string to_json(const Manifest& manifest) {
  json sources = json::array();
  for (const SourceInfo& source : manifest.sources) {
    sources.push_back({{"file", source.file}, {"bytes", source.bytes}, {"sha256", source.sha256}});
  }
  json document = {
      {"kind", "TokenShards"},
      {"version", kVersion},
      {"tokenizer", manifest.tokenizer},
      {"vocab_size", manifest.vocab_size},
      {"splits",
       {{"train", shards_to_json(manifest.train)},
        {"validation", shards_to_json(manifest.validation)}}},
      {"sources", std::move(sources)},
      {"options",
       {{"seed", manifest.seed},
        {"validation_fraction", manifest.validation_fraction},
        {"shard_tokens", manifest.shard_tokens}}},
  };
  if (!manifest.tokenizer_sha256.empty()) {
    document["tokenizer_sha256"] = manifest.tokenizer_sha256;
    document["options"]["tokenizer"] = manifest.tokenizer_option;
  }
  if (manifest.pairs) {
    const PairInfo& pairs = *manifest.pairs;
    document["pairs"] = {{"from", pairs.from},          {"to", pairs.to},
                         {"window", pairs.form.window}, {"separator", pairs.form.separator},
                         {"end", pairs.form.end},       {"left_out", pairs.left_out}};
  }
  // File names may hold any bytes; those that are not UTF-8 are written as U+FFFD rather than
  // refused.
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Manifest> parse_manifest(std::string_view text, std::string_view where) {
  ATOLL_ASSIGN(const json document, parse_json(text, Code::kData, where));
  const Reader reader(where);
  ATOLL_ASSIGN(const std::string kind, reader.text(document, "kind"));
  if (kind != "TokenShards") return reader.bad("is not a manifest of token shards");
  ATOLL_ASSIGN(const std::uint64_t version, reader.number(document, "version", UINT32_MAX));
  if (version != kVersion) {
    return reader.bad("has version " + std::to_string(version) + "; this Atoll reads version 1");
  }
  Manifest manifest;
  ATOLL_ASSIGN(manifest.tokenizer, reader.text(document, "tokenizer"));
  ATOLL_ASSIGN(const std::uint64_t vocab, reader.number(document, "vocab_size", kMaxVocabulary));
  manifest.vocab_size = static_cast<std::uint32_t>(vocab);
  if (manifest.tokenizer == kTokenizerName) {
    ATOLL_ASSIGN(manifest.tokenizer_sha256, reader.digest(document, "tokenizer_sha256"));
  } else if (manifest.tokenizer != "bytes") {
    return reader.bad("'tokenizer' is neither bytes nor " + std::string(kTokenizerName));
  }
  ATOLL_ASSIGN(const json* splits, reader.field(document, "splits"));
  ATOLL_ASSIGN(manifest.train, reader.split(*splits, "train"));
  ATOLL_ASSIGN(manifest.validation, reader.split(*splits, "validation"));
  ATOLL_ASSIGN(manifest.sources, reader.sources(document));
  ATOLL_ASSIGN(const json* options, reader.field(document, "options"));
  if (!manifest.tokenizer_sha256.empty()) {
    ATOLL_ASSIGN(manifest.tokenizer_option, reader.text(*options, "tokenizer"));
  }
  ATOLL_ASSIGN(manifest.seed, reader.number(*options, "seed", UINT64_MAX));
  ATOLL_ASSIGN(manifest.validation_fraction, reader.fraction(*options, "validation_fraction"));
  ATOLL_ASSIGN(manifest.shard_tokens, reader.number(*options, "shard_tokens", UINT64_MAX));
  ATOLL_ASSIGN(manifest.pairs, reader.pairs(document, manifest.vocab_size));
  return manifest;
}

Result<Manifest> read_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kManifestName;
  auto file = MappedFile::open(path);
  if (!file.ok()) {
    return Error{Code::kData, path.string(),
                 file.error().what + "; make the folder with 'atoll data prepare'"};
  }
  if (file->bytes().size() > kMaxManifestBytes) {
    return Error{Code::kData, path.string(), "is larger than 16 MiB"};
  }
  return parse_manifest(as_text(file->bytes()), path.string());
}

}  // namespace reef::data
