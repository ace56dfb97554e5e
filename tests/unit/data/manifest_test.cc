#include "actors/data/format/manifest.h"

#include <gtest/gtest.h>

namespace reef::data {
namespace {

Manifest example() {
  Manifest manifest;
  manifest.train = {30,
                    {{"train-00000.bin", 20, std::string(64, 'a')},
                     {"train-00001.bin", 10, std::string(64, 'b')}}};
  manifest.validation = {5, {{"validation-00000.bin", 5, std::string(64, 'c')}}};
  manifest.sources = {{"a.txt", 35, std::string(64, 'd')}};
  manifest.seed = UINT64_MAX;
  manifest.validation_fraction = 0.1;
  manifest.shard_tokens = 20;
  return manifest;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return at == text.npos ? text : text.replace(at, from.size(), to);
}

TEST(Manifest, ReadsWhatItWrites) {
  const auto read = parse_manifest(to_json(example()), "x");
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(*read, example());
}

TEST(Manifest, NamesTheTokenizerThatIsBesideIt) {
  Manifest manifest = example();
  manifest.tokenizer = "tokenizer.json";
  manifest.tokenizer_sha256 = std::string(64, 'e');
  manifest.tokenizer_option = "train:300";
  manifest.vocab_size = 300;
  const auto read = parse_manifest(to_json(manifest), "x");
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(*read, manifest);
  manifest.tokenizer_sha256 = "e";
  EXPECT_EQ(parse_manifest(to_json(manifest), "x").error().code, Code::kData);
  manifest = example();
  manifest.tokenizer = "words";
  EXPECT_EQ(parse_manifest(to_json(manifest), "x").error().code, Code::kData);
}

TEST(Manifest, SaysHowPairsAreKept) {
  Manifest manifest = example();
  manifest.pairs = PairInfo{"en", "es", {.window = 128, .separator = 254, .end = 255}, 12};
  const std::string good = to_json(manifest);
  const auto read = parse_manifest(good, "x");
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(*read, manifest);
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
           {"\"end\": 255", "\"end\": 256"},
           {"\"end\": 255", "\"end\": 254"},
           {"\"end\": 255", "\"end\": -1"},
           {"\"window\": 128", "\"window\": 0"},
           {"\"window\": 128", "\"window\": 4294967296"},
           {"\"left_out\": 12", "\"left\": 12"}}) {
    EXPECT_EQ(parse_manifest(replaced(good, from, to), "x").error().code, Code::kData) << to;
  }
}

TEST(Manifest, RefusesHostileText) {
  const std::string good = to_json(example());
  const std::string deep = std::string(100'000, '[');
  const struct {
    const char* what;
    std::string text;
    Code code;
  } rows[] = {
      {"empty", "", Code::kData},
      {"cut", good.substr(0, good.size() / 2), Code::kData},
      {"not UTF-8", "{\"kind\":\"\xFF\"}", Code::kData},
      {"deep", deep, Code::kData},
      {"a list", "[]", Code::kData},
      {"another kind", replaced(good, "TokenShards", "Checkpoint"), Code::kData},
      {"another version", replaced(good, "\"version\": 1", "\"version\": 2"), Code::kData},
      {"a key twice", replaced(good, "{", "{\"kind\":\"TokenShards\","), Code::kData},
      {"text after the end", good + "{}", Code::kData},
      {"negative tokens", replaced(good, "\"tokens\": 20", "\"tokens\": -20"), Code::kData},
      {"fractional tokens", replaced(good, "\"tokens\": 20", "\"tokens\": 2e1"), Code::kData},
      {"huge tokens", replaced(good, "\"tokens\": 20", "\"tokens\": 18446744073709551615"),
       Code::kData},
      {"a wrong sum", replaced(good, "\"tokens\": 30", "\"tokens\": 31"), Code::kData},
      {"a short hash", replaced(good, std::string(64, 'b'), "bb"), Code::kData},
      {"vocabulary over uint16", replaced(good, "256", "65537"), Code::kData},
      {"a parent folder", replaced(good, "train-00001.bin", "../train-00001.bin"), Code::kPath},
      {"an absolute path", replaced(good, "train-00001.bin", "/etc/passwd"), Code::kPath},
      {"NUL", replaced(good, "train-00001.bin", "a\\u0000b"), Code::kPath},
      {"two dots", replaced(good, "train-00001.bin", ".."), Code::kPath},
      {"a long name", replaced(good, "train-00001.bin", std::string(256, 'x')), Code::kPath},
  };
  for (const auto& row : rows) {
    const auto read = parse_manifest(row.text, "where");
    ASSERT_FALSE(read.ok()) << row.what;
    EXPECT_EQ(read.error().code, row.code) << row.what << ": " << read.error().text();
  }
}

}  // namespace
}  // namespace reef::data
