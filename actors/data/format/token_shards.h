#pragma once
// One split of a prepared folder as one long row of tokens, read from anywhere.
// A shard is in llm.c's form: 256 int32 (20240520, 1, tokens, 0...), then uint16 tokens,
// little-endian.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "actors/data/format/manifest.h"
#include "actors/data/format/mapped_file.h"
#include "runtime/base/error.h"

namespace reef::data {

inline constexpr std::int32_t kShardMagic = 20240520;
inline constexpr std::int32_t kShardVersion = 1;
inline constexpr std::size_t kShardHeaderBytes = 256 * sizeof(std::int32_t);

/// Thread: read() from any number of threads at once.
/// Memory: shards are memory-mapped; reading a window takes none.
class TokenShards {
 public:
  /// Opens "train" or "validation". Sizes, magic and token counts are held against the manifest;
  /// `verify_hashes` reads every byte too (about 0.4 GB/s).
  /// Failure: kData naming the shard and offset.
  static Result<TokenShards> open(const std::filesystem::path& folder, std::string_view split,
                                  bool verify_hashes = false);

  /// Fills `out` with the tokens from `position` on, across shards.
  /// Failure: kData with "shard:offset" past the end, for a token outside the vocabulary, and for a
  /// shard that changed since it was opened.
  Status read(std::uint64_t position, std::span<std::int32_t> out) const;

  std::uint64_t tokens() const { return tokens_; }
  std::uint32_t vocab_size() const { return vocab_size_; }
  /// Of data that is pairs of lines.
  const std::optional<PairForm>& pairs() const { return pairs_; }

 private:
  struct Shard {
    std::string file;
    std::uint64_t first;  ///< position of its first token
    std::uint64_t tokens;
    MappedFile map;
  };

  TokenShards() = default;
  Status read_from(const Shard& shard, std::uint64_t offset, std::span<std::int32_t> out) const;

  std::vector<Shard> shards_;
  std::uint64_t tokens_ = 0;
  std::uint32_t vocab_size_ = 0;
  std::optional<PairForm> pairs_;
};

}  // namespace reef::data
