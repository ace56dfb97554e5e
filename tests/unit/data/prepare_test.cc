#include "actors/data/format/prepare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "actors/data/format/bpe_trainer.h"
#include "actors/data/format/token_shards.h"
#include "actors/data/format/tokenizer.h"
#include "tests/unit/scratch_folder.h"

namespace reef::data {
namespace {

std::string chapter(int number) {
  std::string text = "# Chapter " + std::to_string(number) + "\n\n";
  for (int line = 0; line < 5 + number % 7; ++line) {
    text += "line " + std::to_string(line) + " of " + std::to_string(number) + "\n\n";
  }
  return text;
}

std::string book(int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i) text += chapter(i);
  return text;
}

std::string split_text(const std::filesystem::path& folder, std::string_view split) {
  auto shards = TokenShards::open(folder, split, true);
  EXPECT_TRUE(shards.ok()) << shards.error().text();
  if (!shards.ok()) return {};
  std::vector<std::int32_t> tokens(shards->tokens());
  EXPECT_TRUE(shards->read(0, tokens).ok());
  return {tokens.begin(), tokens.end()};
}

std::set<std::string> headings(const std::string& text) {
  std::set<std::string> found;
  for (std::size_t at = text.find("# "); at != text.npos; at = text.find("# ", at + 1)) {
    found.insert(text.substr(at, text.find('\n', at) - at));
  }
  return found;
}

class Prepare : public ::testing::Test {
 protected:
  Prepare() {
    options_.input = folder_ / "in.txt";
    options_.output = folder_ / "out";
    options_.validation_fraction = 0.1;
    options_.shard_tokens = 1000;
  }
  ScratchFolder folder_;
  PrepareOptions options_;
};

TEST_F(Prepare, KeepsEveryByteOnExactlyOneSide) {
  const std::string text = "before the first\n" + book(0, 100);
  put(options_.input, text);
  const auto manifest = prepare(options_);
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  const std::string train = split_text(options_.output, "train");
  const std::string validation = split_text(options_.output, "validation");
  EXPECT_EQ(train.size() + validation.size(), text.size());
  EXPECT_GT(manifest->train.shards.size(), 1u);
  EXPECT_GE(validation.size(), text.size() / 10);
  EXPECT_LT(validation.size(), text.size() / 5);
  const auto trained = headings(train);
  for (const auto& heading : headings(validation)) EXPECT_FALSE(trained.contains(heading));
  EXPECT_EQ(trained.size() + headings(validation).size(), 100u);
  EXPECT_EQ(*read_manifest(options_.output), *manifest);
}

TEST_F(Prepare, PutsCopiesOfAPassageOnOneSide) {
  // Block 3 appears 20 times, with other neighbours and other blank lines.
  std::string text;
  for (int i = 0; i < 20; ++i) {
    text += "block " + std::to_string(i) + "\n\n\nthe same passage\n" + (i % 2 ? "\n" : "\n \n\n");
  }
  put(options_.input, text);
  for (options_.seed = 0; options_.seed < 20; ++options_.seed) {
    options_.output = folder_ / ("out" + std::to_string(options_.seed));
    ASSERT_TRUE(prepare(options_).ok());
    const bool trained = split_text(options_.output, "train").find("same") != std::string::npos;
    const bool held = split_text(options_.output, "validation").find("same") != std::string::npos;
    EXPECT_NE(trained, held) << options_.seed;
  }
}

TEST_F(Prepare, SplitDependsOnTheSeedAlone) {
  put(options_.input, book(0, 50));
  ASSERT_TRUE(prepare(options_).ok());
  const std::string first = get(options_.output / "manifest.json");
  options_.output = folder_ / "again";
  ASSERT_TRUE(prepare(options_).ok());
  EXPECT_EQ(get(options_.output / "manifest.json"), first);
  options_.output = folder_ / "other";
  options_.seed = 1;
  ASSERT_TRUE(prepare(options_).ok());
  EXPECT_NE(split_text(options_.output, "validation"), split_text(folder_ / "out", "validation"));
}

TEST_F(Prepare, ReadsFoldersInOrder) {
  options_.input = folder_ / "texts";
  put(options_.input / "b.txt", book(0, 10));
  put(options_.input / "a" / "z.txt", book(10, 20));
  put(options_.input / "skipped.md", "# no\n");
  const auto manifest = prepare(options_);
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  ASSERT_EQ(manifest->sources.size(), 2u);
  EXPECT_EQ(manifest->sources[0].file, "a/z.txt");
  EXPECT_EQ(manifest->sources[1].file, "b.txt");
}

TEST_F(Prepare, IsIdempotentButKeepsForeignFolders) {
  put(options_.input, book(0, 20));
  const auto first = prepare(options_);
  ASSERT_TRUE(first.ok());
  const auto second = prepare(options_);
  ASSERT_TRUE(second.ok()) << second.error().text();
  EXPECT_EQ(*first, *second);

  put(options_.input, book(0, 21));
  EXPECT_EQ(prepare(options_).error().code, Code::kPath);
  EXPECT_EQ(*read_manifest(options_.output), *first);

  options_.output = folder_ / "foreign";
  put(options_.output / "letter.txt", "mine");
  EXPECT_EQ(prepare(options_).error().code, Code::kPath);
  EXPECT_EQ(get(options_.output / "letter.txt"), "mine");
}

TEST_F(Prepare, SaysThatItsOwnFolderWasDamaged) {
  put(options_.input, book(0, 20));
  ASSERT_TRUE(prepare(options_).ok());
  std::string shard = get(options_.output / "train-00000.bin");
  shard.back() ^= 1;
  put(options_.output / "train-00000.bin", shard);
  EXPECT_EQ(prepare(options_).error().code, Code::kData);
}

TEST_F(Prepare, MakesNoValidationSplitWhenToldSo) {
  put(options_.input, "one block only");
  options_.validation_fraction = 0;
  const auto manifest = prepare(options_);
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->validation.tokens, 0u);
  EXPECT_EQ(split_text(options_.output, "train"), "one block only");
  EXPECT_EQ(split_text(options_.output, "validation"), "");
}

class PrepareTokens : public Prepare {
 protected:
  std::vector<std::int32_t> ids(std::string_view split) const {
    const auto shards = TokenShards::open(options_.output, split, true);
    std::vector<std::int32_t> found(shards->tokens());
    EXPECT_TRUE(shards->read(0, found).ok());
    return found;
  }
  std::string decoded(std::string_view split) const {
    return Tokenizer::read(options_.output / "tokenizer.json")->decode(ids(split));
  }
};

TEST_F(PrepareTokens, LearnsATokenizerAndKeepsIt) {
  put(options_.input, book(0, 100));
  ASSERT_TRUE(prepare(options_).ok());
  const std::string train = split_text(options_.output, "train");
  const std::string validation = split_text(options_.output, "validation");
  options_.output = folder_ / "pairs";
  options_.tokenizer = "train:300";
  const auto manifest = prepare(options_);
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  EXPECT_EQ(manifest->tokenizer, "tokenizer.json");
  EXPECT_EQ(manifest->vocab_size, 300u);
  EXPECT_EQ(*read_manifest(options_.output), *manifest);
  EXPECT_EQ(decoded("train"), train);
  EXPECT_EQ(decoded("validation"), validation);
  EXPECT_LT(manifest->train.tokens, train.size() / 2);
  // Nothing is learnt from what is held out.
  BpeTrainer trainer;
  for (const std::string& heading : headings(train)) {
    const std::size_t begin = train.find(heading + "\n");
    trainer.add(std::string_view(train).substr(begin, train.find("# ", begin + 1) - begin));
  }
  EXPECT_EQ(get(options_.output / "tokenizer.json"), trainer.train(300).to_json());
}

TEST_F(PrepareTokens, LeavesAFolderAloneThatItMadeAlike) {
  put(options_.input, book(0, 20));
  options_.tokenizer = "train:300";
  const auto manifest = prepare(options_);
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(*prepare(options_), *manifest);
  options_.tokenizer = "train:301";
  EXPECT_EQ(prepare(options_).error().code, Code::kPath);
  options_.tokenizer = "bytes";
  EXPECT_EQ(prepare(options_).error().code, Code::kPath);
  options_.tokenizer = "train:300";
  put(options_.output / "tokenizer.json", get(options_.output / "tokenizer.json") + " ");
  EXPECT_EQ(prepare(options_).error().code, Code::kData);
}

TEST_F(PrepareTokens, TakesATokenizerThatIsThere) {
  put(options_.input, book(0, 20));
  BpeTrainer trainer;
  trainer.add(book(0, 9));
  const std::string file = trainer.train(270).to_json();
  put(folder_ / "given.json", file);
  options_.tokenizer = (folder_ / "given.json").string();
  const auto manifest = prepare(options_);
  ASSERT_TRUE(manifest.ok()) << manifest.error().text();
  EXPECT_EQ(manifest->vocab_size, 270u);
  EXPECT_EQ(get(options_.output / "tokenizer.json"), file);
  EXPECT_EQ(decoded("train").size() + decoded("validation").size(), book(0, 20).size());
  trainer.add("another");
  put(folder_ / "given.json", trainer.train(270).to_json());
  EXPECT_EQ(prepare(options_).error().code, Code::kPath);
}

TEST_F(PrepareTokens, RefusesATokenizerThatNoShardCanHold) {
  put(options_.input, book(0, 9));
  for (const char* choice : {"train:", "train:256", "train:65537", "train:-1", "train:300x"}) {
    options_.tokenizer = choice;
    EXPECT_EQ(prepare(options_).error().code, Code::kUsage) << choice;
  }
  options_.tokenizer = (folder_ / "absent.json").string();
  EXPECT_EQ(prepare(options_).error().code, Code::kPath);
  BpeTrainer trainer;
  trainer.add("text");
  auto large = nlohmann::json::parse(trainer.train(257).to_json());
  large["added_tokens"] = {{{"id", 65536}, {"content", "<end>"}}};
  put(folder_ / "large.json", large.dump());
  options_.tokenizer = (folder_ / "large.json").string();
  EXPECT_EQ(prepare(options_).error().code, Code::kData);
  put(folder_ / "none.json", "{}");
  options_.tokenizer = (folder_ / "none.json").string();
  EXPECT_EQ(prepare(options_).error().code, Code::kData);
  EXPECT_FALSE(std::filesystem::exists(options_.output));
}

TEST_F(Prepare, RefusesBadInputAndLeavesNothing) {
  put(folder_ / "empty.txt", "");
  put(folder_ / "blank.txt", " \n\n\t\n");
  put(folder_ / "single.txt", "one block\nof two lines\n");
  put(folder_ / "good.txt", book(0, 9));
  put(folder_ / "file", "x");
  std::filesystem::create_directory(folder_ / "nothing");
  const struct {
    const char* input;
    const char* output;
    double fraction;
    std::uint64_t shard;
    Code code;
  } rows[] = {
      {"absent.txt", "out", 0.1, 10, Code::kPath},
      {"empty.txt", "out", 0.1, 10, Code::kData},
      {"blank.txt", "out", 0.1, 10, Code::kData},
      {"single.txt", "out", 0.1, 10, Code::kData},
      {"nothing", "out", 0.1, 10, Code::kData},
      {"good.txt", "out", -0.1, 10, Code::kUsage},
      {"good.txt", "out", 0.9, 10, Code::kUsage},
      {"good.txt", "out", NAN, 10, Code::kUsage},
      {"good.txt", "out", 0.1, 0, Code::kUsage},
      {"good.txt", "out", 0.1, 1ull << 31, Code::kUsage},
      {"good.txt", "file", 0.1, 10, Code::kPath},
      {"good.txt", "file/out", 0.1, 10, Code::kPath},
  };
  const std::size_t before = folder_.list().size();
  for (const auto& row : rows) {
    const auto result = prepare({.input = folder_ / row.input,
                                 .output = folder_ / row.output,
                                 .validation_fraction = row.fraction,
                                 .shard_tokens = row.shard});
    ASSERT_FALSE(result.ok()) << row.input << ' ' << row.fraction;
    EXPECT_EQ(result.error().code, row.code) << row.input << ": " << result.error().text();
    EXPECT_EQ(folder_.list().size(), before) << row.input;
  }
}

}  // namespace
}  // namespace reef::data
