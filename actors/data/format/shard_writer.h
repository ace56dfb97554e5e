#pragma once
// Writes one split's shards, of a length known before. Private to actors/data/format.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/data/format/manifest.h"
#include "actors/data/format/sha256.h"
#include "runtime/base/bytes.h"
#include "runtime/base/file.h"

namespace reef::data {

class ShardWriter {
 public:
  /// `total` tokens will be added; they are cut into shards of `shard_tokens`.
  ShardWriter(std::filesystem::path folder, std::string split, std::uint64_t total,
              std::uint64_t shard_tokens);

  Status add(std::span<const std::uint16_t> tokens);
  /// What was written, once everything was added.
  Split finish();

 private:
  Status begin_shard();
  Status end_shard();
  Status write(BytesView bytes);

  std::filesystem::path folder_;
  std::string split_name_;
  std::uint64_t total_;
  std::uint64_t shard_tokens_;
  std::uint64_t left_in_shard_ = 0;
  std::optional<AtomicFile> file_;
  Sha256 hash_;
  Split split_;
};

}  // namespace reef::data
