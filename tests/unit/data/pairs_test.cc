#include "actors/data/format/pairs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "actors/data/format/prepare_pairs.h"
#include "actors/data/format/token_shards.h"
#include "actors/data/format/tokenizer.h"
#include "runtime/base/file.h"
#include "tests/unit/scratch_folder.h"

namespace reef::data {
namespace {

using Tokens = std::vector<std::int32_t>;

constexpr std::int32_t kS = 90, kE = 91;
constexpr PairForm kForm{.window = 8, .separator = kS, .end = kE};

Tokens counted(const Tokens& window) {
  Tokens targets(window.begin() + 1, window.end());
  leave_out_sources(kForm, Tokens(window.begin(), window.end() - 1), targets);
  return targets;
}

TEST(Pairs, CountTranslationsAndTheirEnds) {
  EXPECT_EQ(counted({1, 2, kS, 3, 4, kE, kE, kE, 5}), (Tokens{-1, -1, 3, 4, kE, -1, -1, -1}));
  EXPECT_EQ(counted({1, kS, 2, kE, 3, kS, 4, kE, 5}), (Tokens{-1, 2, kE, -1, -1, 4, kE, -1}));
  // The next window's source is no part of this one's translation.
  EXPECT_EQ(counted({1, 1, 1, 1, 1, kS, 2, kE, 3}), (Tokens{-1, -1, -1, -1, -1, 2, kE, -1}));
}

class PreparePairs : public testing::Test {
 protected:
  PreparePairs() {
    options_ = {.input = folder_ / "in",
                .output = folder_ / "out",
                .from = "en",
                .to = "es",
                .window = 24,
                .shard_tokens = 1000,
                .tokenizer = "train:270"};
    std::string english, spanish;
    for (int i = 0; i < kPairs; ++i) {
      english += "line " + std::to_string(i) + "\n";
      spanish += "l\u00ednea " + std::to_string(i) + "\n";
    }
    write("train", english, spanish);
    write("validation", "one\ntwo", "uno\ndos\n");
  }

  void write(const std::string& split, const std::string& english, const std::string& spanish) {
    ASSERT_TRUE(write_file(options_.input / (split + ".en"), as_bytes(english)).ok());
    ASSERT_TRUE(write_file(options_.input / (split + ".es"), as_bytes(spanish)).ok());
  }

  /// The pairs of a split as they stand in its windows.
  std::map<std::string, std::string> found(const char* split) {
    const auto shards = TokenShards::open(options_.output, split, true).value();
    const auto tokenizer = Tokenizer::read(options_.output / kTokenizerName).value();
    const PairForm form = shards.pairs().value();
    std::map<std::string, std::string> pairs;
    EXPECT_EQ(shards.tokens() % form.window, 1u);
    for (std::uint64_t at = 0; at + 1 < shards.tokens(); at += form.window) {
      Tokens window(form.window);
      EXPECT_TRUE(shards.read(at, window).ok());
      EXPECT_EQ(window.back(), form.end);
      for (auto begin = window.begin();;) {
        const auto middle = std::find(begin, window.end(), form.separator);
        if (middle == window.end()) break;
        const auto end = std::find(middle, window.end(), form.end);
        pairs[tokenizer.decode({begin, middle})] = tokenizer.decode({middle + 1, end});
        begin = end + 1;
      }
    }
    return pairs;
  }

  void expect_refused(Code code, const std::string& where, const std::string& what) {
    const auto made = prepare_pairs(options_);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, code) << made.error().text();
    EXPECT_NE(made.error().where.find(where), std::string::npos) << made.error().text();
    EXPECT_NE(made.error().what.find(what), std::string::npos) << made.error().text();
    EXPECT_FALSE(std::filesystem::exists(options_.output));
  }

  static constexpr int kPairs = 200;
  ScratchFolder folder_;
  PairOptions options_;
};

TEST_F(PreparePairs, KeepsEachPairWholeInAWindow) {
  const auto manifest = prepare_pairs(options_);
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  EXPECT_EQ(manifest->vocab_size, 270u);
  EXPECT_EQ(manifest->pairs->left_out, 0u);
  EXPECT_EQ(manifest->pairs->form.window, 24u);
  const auto pairs = found("train");
  EXPECT_EQ(pairs.size(), static_cast<std::size_t>(kPairs));
  for (const auto& [english, spanish] : pairs) {
    EXPECT_EQ("l\u00ednea " + english.substr(5), spanish);
  }
  EXPECT_EQ(found("validation"),
            (std::map<std::string, std::string>{{"one", "uno"}, {"two", "dos"}}));
  EXPECT_LT(manifest->train.tokens, 1u + 24 * kPairs) << "several pairs a window";
  EXPECT_EQ(read_manifest(options_.output).value(), *manifest);
}

TEST_F(PreparePairs, IsMadeOnce) {
  const auto first = prepare_pairs(options_).value();
  EXPECT_EQ(prepare_pairs(options_).value(), first);
  options_.window = 32;
  EXPECT_EQ(prepare_pairs(options_).error().code, Code::kPath);
  // The order follows from the seed.
  options_.window = 24;
  options_.output = folder_ / "again";
  EXPECT_EQ(prepare_pairs(options_).value().train, first.train);
  options_.output = folder_ / "other";
  options_.seed = 1;
  EXPECT_NE(prepare_pairs(options_).value().train, first.train);
}

TEST_F(PreparePairs, LeavesOutWhatIsNoPairOrDoesNotFit) {
  // Of which a few merges do not make less than a window.
  const std::string lengthy = "qwertyuiopasdfghjklzxcvbnm0123456789QWERTYUIOPASDFGHJKLZXCVBNM";
  write("train", "a\n\nc\nd\n" + lengthy + "\n", "A\nB\n\nD\nE\n");
  const auto manifest = prepare_pairs(options_);
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  EXPECT_EQ(manifest->pairs->left_out, 3u);
  EXPECT_EQ(found("train"), (std::map<std::string, std::string>{{"a", "A"}, {"d", "D"}}));
}

TEST_F(PreparePairs, SharesItsTokenizer) {
  const auto first = prepare_pairs(options_).value();
  options_.tokenizer = options_.output / kTokenizerName;
  options_.output = folder_ / "given";
  const auto second = prepare_pairs(options_);
  ASSERT_TRUE(second.ok()) << second.error().text();
  EXPECT_EQ(second->tokenizer_sha256, first.tokenizer_sha256);
  EXPECT_EQ(second->train, first.train);
}

TEST_F(PreparePairs, RefusesWhatCannotBe) {
  write("train", "a\nb\n", "A\n");
  expect_refused(Code::kData, "train.en", "2 lines");
  write("train", "a\nb<|end|>\n", "A\nB\n");
  expect_refused(Code::kData, "train.en:2", "<|end|>");
  write("train", "a\nb\n", "A\n\xFF\n");
  expect_refused(Code::kData, "train.es:2", "UTF-8");
  write("train", "", "");
  expect_refused(Code::kData, "train.en", "no pair");
  write("train", "a\n", "A\n");
  options_.tokenizer = "bytes";
  expect_refused(Code::kUsage, "--tokenizer", "train:4096");
  options_.tokenizer = "train:257";
  expect_refused(Code::kUsage, "--tokenizer", "train:4096");
  options_.tokenizer = "train:270";
  options_.window = 3;
  expect_refused(Code::kUsage, "--window", "3");
  options_.window = 24;
  options_.to = "en";
  expect_refused(Code::kUsage, "--pairs", "en-es");
  options_.to = "fr";
  expect_refused(Code::kPath, "train.fr", "");
}

TEST_F(PreparePairs, RefusesATokenizerWithoutMarks) {
  prepare_pairs(options_).value();
  auto text = read_file(options_.output / kTokenizerName).value();
  for (std::size_t at; (at = text.find("<|sep|>")) != text.npos;) text.replace(at, 7, "<|pad|>");
  ASSERT_TRUE(write_file(folder_ / "plain.json", as_bytes(text)).ok());
  options_.tokenizer = folder_ / "plain.json";
  options_.output = folder_ / "given";
  expect_refused(Code::kData, "plain.json", "<|sep|>");
}

}  // namespace
}  // namespace reef::data
