#include "actors/data/format/token_shards.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "actors/data/format/sha256.h"
#include "tests/unit/scratch_folder.h"

namespace reef::data {
namespace {

std::string shard_bytes(const std::vector<std::uint16_t>& tokens) {
  std::string bytes(kShardHeaderBytes + 2 * tokens.size(), '\0');
  auto* const to = reinterpret_cast<std::byte*>(bytes.data());
  store(to, kShardMagic);
  store(to + 4, kShardVersion);
  store(to + 8, static_cast<std::int32_t>(tokens.size()));
  for (std::size_t i = 0; i < tokens.size(); ++i) store(to + kShardHeaderBytes + 2 * i, tokens[i]);
  return bytes;
}

/// Three shards: 0..99, none, 100..149.
class Shards : public ::testing::Test {
 protected:
  Shards() {
    std::uint16_t next = 0;
    for (const std::size_t size : {100, 0, 50}) {
      std::vector<std::uint16_t> tokens(size);
      for (auto& token : tokens) token = next++;
      add(shard_bytes(tokens), size);
    }
    write_manifest();
  }

  void add(const std::string& bytes, std::uint64_t tokens) {
    const std::string file = "train-0000" + std::to_string(manifest_.train.shards.size()) + ".bin";
    put(folder_ / file, bytes);
    manifest_.train.shards.push_back({file, tokens, sha256(as_bytes(bytes))});
    manifest_.train.tokens += tokens;
  }
  void write_manifest() { put(folder_ / "manifest.json", to_json(manifest_)); }

  /// Opens after `content` replaced the first shard.
  Result<TokenShards> open_with(const std::string& content, bool verify = false) {
    put(folder_ / "train-00000.bin", content);
    return TokenShards::open(folder_.path(), "train", verify);
  }

  ScratchFolder folder_;
  Manifest manifest_;
};

TEST_F(Shards, ReadsAcrossShards) {
  const auto shards = TokenShards::open(folder_.path(), "train", true);
  ASSERT_TRUE(shards.ok()) << shards.error().text();
  EXPECT_EQ(shards->tokens(), 150u);
  for (const std::uint64_t position : {0, 1, 90, 99, 100, 101, 140, 150}) {
    for (const std::size_t size : {0, 1, 10, 50}) {
      if (position + size > 150) continue;
      std::vector<std::int32_t> out(size, -1);
      ASSERT_TRUE(shards->read(position, out).ok());
      for (std::size_t i = 0; i < size; ++i) {
        EXPECT_EQ(out[i], static_cast<std::int32_t>(position + i));
      }
    }
  }
}

TEST_F(Shards, RefusesToReadPastTheEnd) {
  const auto shards = TokenShards::open(folder_.path(), "train");
  std::vector<std::int32_t> out(2);
  for (const std::uint64_t position : {149ull, 150ull, 151ull, ~0ull}) {
    const Status status = shards->read(position, out);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kData);
  }
}

TEST_F(Shards, NamesShardAndOffsetOfATokenOutsideTheVocabulary) {
  std::vector<std::uint16_t> tokens(100, 1);
  tokens[42] = 256;
  auto shards = open_with(shard_bytes(tokens));
  ASSERT_TRUE(shards.ok());
  std::vector<std::int32_t> out(100);
  const Status status = shards->read(0, out);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().where, "train-00000.bin:42");
  EXPECT_TRUE(shards->read(43, std::span(out).first(50)).ok());
}

TEST_F(Shards, NoticesAChangeDuringTheRun) {
  const auto shards = TokenShards::open(folder_.path(), "train");
  std::vector<std::int32_t> out(10);
  ASSERT_TRUE(shards->read(0, out).ok());
  std::filesystem::resize_file(folder_ / "train-00000.bin", kShardHeaderBytes);
  EXPECT_EQ(shards->read(0, out).error().code, Code::kData);
  EXPECT_TRUE(shards->read(100, out).ok());
}

TEST_F(Shards, RefusesDamagedShards) {
  const std::string good = get(folder_ / "train-00000.bin");
  const auto with = [&good](std::size_t at, char value) {
    std::string bytes = good;
    bytes[at] = value;
    return bytes;
  };
  for (const std::string& bad :
       {std::string(), good.substr(0, 100), good.substr(0, good.size() - 1), good + "x", with(0, 0),
        with(4, 2), with(8, 99), with(11, -1)}) {
    const auto shards = open_with(bad);
    ASSERT_FALSE(shards.ok()) << bad.size();
    EXPECT_EQ(shards.error().code, Code::kData);
    EXPECT_EQ(shards.error().where.rfind("train-00000.bin:", 0), 0u) << shards.error().text();
  }
  EXPECT_TRUE(open_with(with(good.size() - 2, 1)).ok());
  EXPECT_FALSE(open_with(with(good.size() - 2, 1), true).ok());
}

TEST_F(Shards, RefusesMissingFilesLinksAndFifos) {
  const auto shard = folder_ / "train-00000.bin";
  std::filesystem::rename(shard, folder_ / "elsewhere");
  EXPECT_EQ(TokenShards::open(folder_.path(), "train").error().code, Code::kData);
  std::filesystem::create_symlink(folder_ / "elsewhere", shard);
  EXPECT_EQ(TokenShards::open(folder_.path(), "train").error().code, Code::kData);
  std::filesystem::remove(shard);
  ASSERT_EQ(::mkfifo(shard.c_str(), 0600), 0);
  EXPECT_EQ(TokenShards::open(folder_.path(), "train").error().code, Code::kData);
  EXPECT_EQ(TokenShards::open(folder_.path(), "test").error().code, Code::kData);
  EXPECT_EQ(TokenShards::open(folder_ / "absent", "train").error().code, Code::kData);
}

}  // namespace
}  // namespace reef::data
