#include "actors/data/format/shard_writer.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "actors/data/format/token_shards.h"

namespace reef::data {

ShardWriter::ShardWriter(std::filesystem::path folder, std::string split, std::uint64_t total,
                         std::uint64_t shard_tokens)
    : folder_(std::move(folder)),
      split_name_(std::move(split)),
      total_(total),
      shard_tokens_(shard_tokens) {}

Status ShardWriter::add(std::span<const std::uint16_t> tokens) {
  while (!tokens.empty()) {
    if (left_in_shard_ == 0) ATOLL_TRY(begin_shard());
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(tokens.size(), left_in_shard_));
    ATOLL_TRY(write(std::as_bytes(tokens.first(count))));
    tokens = tokens.subspan(count);
    left_in_shard_ -= count;
    if (left_in_shard_ == 0) ATOLL_TRY(end_shard());
  }
  return {};
}

Status ShardWriter::begin_shard() {
  const std::uint64_t tokens = std::min(shard_tokens_, total_ - split_.tokens);
  CHECK(tokens > 0) << "more tokens than were announced for " << split_name_;
  std::array<char, 32> number;
  std::snprintf(number.data(), number.size(), "-%05zu.bin", split_.shards.size());
  split_.shards.push_back({.file = split_name_ + number.data(), .tokens = tokens, .sha256 = {}});
  split_.tokens += tokens;
  left_in_shard_ = tokens;
  ATOLL_ASSIGN(AtomicFile file, AtomicFile::create(folder_ / split_.shards.back().file));
  file_.emplace(std::move(file));
  hash_ = Sha256();
  std::array<std::byte, kShardHeaderBytes> header{};
  store(header.data(), kShardMagic);
  store(header.data() + 4, kShardVersion);
  store(header.data() + 8, static_cast<std::int32_t>(tokens));
  return write(header);
}

Status ShardWriter::end_shard() {
  split_.shards.back().sha256 = hash_.finish();
  ATOLL_TRY(file_->commit());
  file_.reset();
  return {};
}

Status ShardWriter::write(BytesView bytes) {
  hash_.update(bytes);
  return file_->write(bytes);
}

Split ShardWriter::finish() {
  CHECK_EQ(split_.tokens, total_) << "tokens of " << split_name_;
  CHECK(!file_.has_value()) << "a shard of " << split_name_ << " is not full";
  return std::move(split_);
}

}  // namespace reef::data
