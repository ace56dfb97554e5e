#pragma once
// manifest.json of a folder of token shards: which shards there are and what they hash to, so that
// a missing, cut or exchanged file is found before a step is trained on it.
//
//   {"kind": "TokenShards", "version": 1, "tokenizer": "bytes", "vocab_size": 256,
//    ["tokenizer_sha256",]
//    "splits": {"train": {"tokens": N, "shards": [{"file", "tokens", "sha256"}]}, "validation":
//    {...}}, "sources": [{"file", "bytes", "sha256"}], "options": {"seed", "validation_fraction",
//    "shard_tokens", ["tokenizer"]}, ["pairs": {"from", "to", "window", "separator", "end",
//    "left_out"}]}
//
// What is in brackets is there when the tokens are not bytes but those of a tokenizer, and when the
// text is pairs of lines.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/data/format/pairs.h"
#include "runtime/base/error.h"

namespace reef::data {

inline constexpr std::string_view kManifestName = "manifest.json";

struct ShardInfo {
  std::string file;  ///< a plain name inside the folder
  std::uint64_t tokens = 0;
  std::string sha256;

  bool operator==(const ShardInfo&) const = default;
};

struct Split {
  std::uint64_t tokens = 0;
  std::vector<ShardInfo> shards;

  bool operator==(const Split&) const = default;
};

struct SourceInfo {
  std::string file;  ///< relative to the input folder, or the input's name
  std::uint64_t bytes = 0;
  std::string sha256;

  bool operator==(const SourceInfo&) const = default;
};

/// Of data that is pairs of lines.
struct PairInfo {
  std::string from, to;  ///< endings of the files: "en", "es"
  PairForm form;
  std::uint64_t left_out = 0;  ///< pairs with an empty line, or that no window holds

  bool operator==(const PairInfo&) const = default;
};

struct Manifest {
  std::string tokenizer = "bytes";  ///< or the file beside the manifest, "tokenizer.json"
  std::string tokenizer_sha256;     ///< of that file; empty for bytes
  std::string tokenizer_option;     ///< "train:4096" or "given"; empty for bytes
  std::uint32_t vocab_size = 256;
  Split train;
  Split validation;
  std::vector<SourceInfo> sources;
  std::uint64_t seed = 0;
  double validation_fraction = 0;
  std::uint64_t shard_tokens = 0;
  std::optional<PairInfo> pairs;

  bool operator==(const Manifest&) const = default;
};

std::string to_json(const Manifest& manifest);
/// kData naming `where` for anything that is not a manifest: syntax, a missing field, a file name
/// that leaves the folder, token counts that do not add up.
Result<Manifest> parse_manifest(std::string_view text, std::string_view where);
Result<Manifest> read_manifest(const std::filesystem::path& folder);

}  // namespace reef::data
