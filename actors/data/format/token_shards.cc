#include "actors/data/format/token_shards.h"

#include <algorithm>

#include "actors/data/format/sha256.h"

namespace reef::data {
namespace {

Error at(const std::string& file, std::uint64_t offset, const std::string& what) {
  return {Code::kData, file + ":" + std::to_string(offset), what};
}

/// A header and size that agree with the manifest.
Status check_shard(const ShardInfo& info, BytesView bytes) {
  const std::uint64_t expected = kShardHeaderBytes + info.tokens * sizeof(std::uint16_t);
  if (bytes.size() != expected) {
    return at(info.file, bytes.size(),
              "the shard ends here; the manifest says " + std::to_string(expected) + " bytes");
  }
  if (load<std::int32_t>(bytes.data()) != kShardMagic)
    return at(info.file, 0, "is not a token shard");
  if (load<std::int32_t>(bytes.data() + 4) != kShardVersion) {
    return at(info.file, 4, "has an unknown version");
  }
  const auto count = load<std::int32_t>(bytes.data() + 8);
  if (count < 0 || static_cast<std::uint64_t>(count) != info.tokens) {
    return at(info.file, 8,
              "says " + std::to_string(count) + " tokens; the manifest says " +
                  std::to_string(info.tokens));
  }
  return {};
}

}  // namespace

Result<TokenShards> TokenShards::open(const std::filesystem::path& folder, std::string_view split,
                                      bool verify_hashes) {
  ATOLL_ASSIGN(const Manifest manifest, read_manifest(folder));
  if (split != "train" && split != "validation") {
    return Error{Code::kData, folder.string(),
                 "has no split '" + std::string(split) + "'; there are train and validation"};
  }
  const Split& chosen = split == "train" ? manifest.train : manifest.validation;
  TokenShards result;
  result.vocab_size_ = manifest.vocab_size;
  if (manifest.pairs) result.pairs_ = manifest.pairs->form;
  for (const ShardInfo& info : chosen.shards) {
    auto map = MappedFile::open(folder, info.file);
    if (!map.ok()) return at(info.file, 0, map.error().what);
    ATOLL_TRY(check_shard(info, map->bytes()));
    if (verify_hashes && sha256(map->bytes()) != info.sha256) {
      return at(info.file, 0, "its SHA-256 is not the manifest's; prepare the text again");
    }
    result.shards_.push_back({info.file, result.tokens_, info.tokens, std::move(*map)});
    result.tokens_ += info.tokens;
  }
  return result;
}

Status TokenShards::read(std::uint64_t position, std::span<std::int32_t> out) const {
  if (position > tokens_ || out.size() > tokens_ - position) {
    return at(shards_.empty() ? "split" : shards_.back().file, position,
              std::to_string(out.size()) + " tokens were asked for; the split ends at " +
                  std::to_string(tokens_));
  }
  auto shard = std::upper_bound(
      shards_.begin(), shards_.end(), position,
      [](std::uint64_t value, const Shard& candidate) { return value < candidate.first; });
  while (!out.empty()) {
    // The last shard that begins at or before `position`; each further one begins where this ends.
    const Shard& current = *std::prev(shard);
    const std::uint64_t offset = position - current.first;
    const auto count = std::min<std::uint64_t>(out.size(), current.tokens - offset);
    ATOLL_TRY(read_from(current, offset, out.first(count)));
    out = out.subspan(count);
    position += count;
    ++shard;
  }
  return {};
}

Status TokenShards::read_from(const Shard& shard, std::uint64_t offset,
                              std::span<std::int32_t> out) const {
  if (!shard.map.unchanged()) return at(shard.file, offset, "the shard changed during the run");
  const std::byte* from =
      shard.map.bytes().data() + kShardHeaderBytes + offset * sizeof(std::uint16_t);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto token = load<std::uint16_t>(from + i * sizeof(std::uint16_t));
    if (token >= vocab_size_) {
      return at(shard.file, offset + i,
                "token " + std::to_string(token) + " is outside the vocabulary of " +
                    std::to_string(vocab_size_));
    }
    out[i] = token;
  }
  return {};
}

}  // namespace reef::data
