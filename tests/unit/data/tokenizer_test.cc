#include "actors/data/format/tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "actors/data/format/bpe_trainer.h"
#include "actors/data/format/pre_tokenizer.h"
#include "runtime/base/random.h"

namespace reef::data {
namespace {

using nlohmann::json;

std::vector<std::string> pieces(std::string_view text) {
  std::vector<std::string> found;
  for_each_piece(text, [&](std::string_view piece) { found.emplace_back(piece); });
  return found;
}

std::vector<TokenId> ids(const Tokenizer& tokenizer, std::string_view text,
                         PieceCache* cache = nullptr) {
  std::vector<TokenId> to;
  tokenizer.encode(text, to, cache);
  return to;
}

/// The tokens of a text, as text.
std::vector<std::string> tokens(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::string> found;
  for (const TokenId id : ids(tokenizer, text)) found.push_back(tokenizer.decode({&id, 1}));
  return found;
}

Tokenizer trained(std::string_view text, std::uint32_t vocabulary) {
  BpeTrainer trainer;
  trainer.add(text);
  return trainer.train(vocabulary);
}

using Texts = std::vector<std::string>;

TEST(PreTokenizer, CutsAsGpt2Does) {
  EXPECT_EQ(pieces("Hello world"), (Texts{"Hello", " world"}));
  EXPECT_EQ(pieces("don't I'LL"), (Texts{"don", "'t", " I", "'", "LL"}));
  EXPECT_EQ(pieces("a1b22 333"), (Texts{"a", "1", "b", "22", " 333"}));
  EXPECT_EQ(pieces("x  y\n\nz  "), (Texts{"x", " ", " y", "\n", "\n", "z", "  "}));
  EXPECT_EQ(pieces("!?... '"), (Texts{"!?...", " '"}));
  EXPECT_EQ(pieces("\xc3\xa9t\xc3\xa9\xc2\xa0\xe2\x82\xac"),
            (Texts{"\xc3\xa9t\xc3\xa9", "\xc2\xa0", "\xe2\x82\xac"}));
}

TEST(PreTokenizer, LosesNoByteThatIsNotUtf8) {
  const Random random(1, "bytes");
  for (std::uint64_t i = 0; i < 200; ++i) {
    std::string text;
    for (std::uint64_t k = 0; k < 50; ++k) text += static_cast<char>(random.below(256, i, k));
    std::string joined;
    for (const std::string& piece : pieces(text)) joined += piece;
    EXPECT_EQ(joined, text);
  }
}

TEST(BpeTrainer, MergesTheMostFrequentPairFirst) {
  const Tokenizer tokenizer = trained("low low low lower lowest newer newer", 260);
  EXPECT_EQ(tokenizer.vocabulary(), 260u);
  Texts learnt;
  for (const Merge& merge : tokenizer.merges())
    learnt.push_back(tokenizer.decode({&merge.token, 1}));
  // "lo" and "ow" stand five times each: of equals, the pair of smaller ids, l before o.
  EXPECT_EQ(learnt, (Texts{"lo", "low", " low", "er"}));
  EXPECT_EQ(tokens(tokenizer, "lower low"), (Texts{"low", "er", " low"}));
}

TEST(BpeTrainer, CountsPairsThatOverlapOnce) {
  EXPECT_EQ(tokens(trained("aaaa aaaa", 257), "aaaaa"), (Texts{"aa", "aa", "a"}));
  const Tokenizer tokenizer = trained("aaaa aaaa aaaa", 258);
  EXPECT_EQ(tokens(tokenizer, "aaaaaa"), (Texts{"aaaa", "aa"}));
}

TEST(BpeTrainer, StopsWhenNoPairIsLeft) {
  const Tokenizer tokenizer = trained("ab", 5000);
  EXPECT_EQ(tokenizer.vocabulary(), 257u);
  EXPECT_EQ(trained("", 300).vocabulary(), 256u);
}

TEST(Tokenizer, GivesBackEveryText) {
  const Tokenizer tokenizer = trained("the cat and the hat and the rat sat", 300);
  PieceCache cache;
  const Random random(2, "texts");
  for (std::uint64_t i = 0; i < 300; ++i) {
    std::string text;
    const std::string words[] = {"the", " hat", "\xff", "\xe2\x82",
                                 "'s",  "\n\n", "7",    std::string(1, '\0')};
    for (std::uint64_t k = 0; k < 20; ++k) text += words[random.below(8, i, k)];
    const std::vector<TokenId> encoded = ids(tokenizer, text);
    EXPECT_EQ(tokenizer.decode(encoded), text);
    EXPECT_EQ(ids(tokenizer, text, &cache), encoded);
    EXPECT_EQ(ids(tokenizer, text, &cache), encoded);
  }
}

TEST(Tokenizer, TakesAPieceOfAnyLength) {
  const Tokenizer tokenizer = trained("aaaaaaaaaaaaaaaa", 260);
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(ids(tokenizer, text).size(), text.size() / 16);
}

TEST(Tokenizer, IsReadAsItWasWritten) {
  const Tokenizer tokenizer = trained("the cat and the hat and the rat sat", 300);
  const std::string written = tokenizer.to_json();
  const auto read = Tokenizer::parse(written, "t");
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->to_json(), written);
  EXPECT_EQ(read->merges(), tokenizer.merges());
  EXPECT_EQ(ids(*read, "the fat cat"), ids(tokenizer, "the fat cat"));
}

class TokenizerFile : public ::testing::Test {
 protected:
  json good_ = json::parse(trained("the cat and the hat", 270).to_json());
  Result<Tokenizer> parse() const { return Tokenizer::parse(good_.dump(), "t"); }
  void expect_refused(const std::string& word) const {
    const auto read = parse();
    ASSERT_FALSE(read.ok()) << word;
    EXPECT_EQ(read.error().code, Code::kData);
    EXPECT_NE(read.error().what.find(word), std::string::npos) << read.error().what;
  }
  /// good_ with one field changed is refused, and `word` says why.
  void refuse(const json::json_pointer& at, const json& value, const std::string& word) {
    const json before = good_;
    good_[at] = value;
    expect_refused(word);
    good_ = before;
  }
};

TEST_F(TokenizerFile, MayHaveMergesAsPairsAndLackTheModelsType) {
  json pairs = json::array();
  for (const json& merge : good_["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    pairs.push_back({text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)});
  }
  const auto plain = parse();
  good_["model"]["merges"] = pairs;
  good_["model"].erase("type");
  const auto read = parse();
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->merges(), plain->merges());
}

TEST_F(TokenizerFile, FindsAddedTokensBeforeAnythingElse) {
  good_["added_tokens"] = {{{"id", 300}, {"content", "<|end|>"}},
                           {{"id", 301}, {"content", "<|end|><|end|>"}},
                           {{"id", 302}, {"content", "\u20ac"}}};
  const auto read = parse();
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->vocabulary(), 303u);
  EXPECT_FALSE(read->knows(299));
  EXPECT_EQ(tokens(*read, "the<|end|><|end|><|end|>\u20ac<|end"),
            (Texts{"the", "<|end|><|end|>", "<|end|>", "\u20ac", "<", "|", "e", "n", "d"}));
  EXPECT_EQ(read->decode(std::vector<TokenId>{300, 299, -1, 5000}), "<|end|>");
}

TEST_F(TokenizerFile, PutsASpaceInFrontWhereItIsAskedFor) {
  good_["pre_tokenizer"]["add_prefix_space"] = true;
  const auto read = parse();
  EXPECT_EQ(tokens(*read, "the cat").front(), " the");
  EXPECT_EQ(read->decode(ids(*read, " the")), " the");
}

TEST_F(TokenizerFile, IsRefusedByTheNameOfWhatIsNotSupported) {
  using Pointer = json::json_pointer;
  refuse(Pointer("/model/type"), "Unigram", "model Unigram");
  refuse(Pointer("/model/byte_fallback"), true, "byte_fallback");
  refuse(Pointer("/model/dropout"), 0.1, "dropout");
  refuse(Pointer("/model/end_of_word_suffix"), "</w>", "end_of_word_suffix");
  refuse(Pointer("/normalizer"), {{"type", "NFC"}}, "normalizer NFC");
  refuse(Pointer("/pre_tokenizer"), {{"type", "Sequence"}}, "pre_tokenizer Sequence");
  refuse(Pointer("/pre_tokenizer"), nullptr, "pre_tokenizer");
  refuse(Pointer("/post_processor"), {{"type", "TemplateProcessing"}}, "TemplateProcessing");
  refuse(Pointer("/decoder"), {{"type", "WordPiece"}}, "decoder WordPiece");
  refuse(Pointer("/added_tokens"), {{{"id", 300}, {"content", "x y"}, {"lstrip", true}}}, "lstrip");
  good_["model"]["vocab"].erase("A");
  expect_refused("byte 65");
}

TEST_F(TokenizerFile, IsNotBelieved) {
  using Pointer = json::json_pointer;
  refuse(Pointer("/model/vocab/A"), -1, "id");
  refuse(Pointer("/model/vocab/A"), 1.5, "id");
  refuse(Pointer("/model/vocab/A"), kMaxTokens, "id");
  refuse(Pointer("/model/vocab/A"), 0, "two tokens");
  refuse(Pointer("/model/vocab"), json::array(), "vocab");
  refuse(Pointer("/model/merges"), json::object(), "merges");
  refuse(Pointer("/model/merges/0"), "x y z", "merge");
  refuse(Pointer("/model/merges/0"), "qq", "merge");
  refuse(Pointer("/model/merges/0"), {"q", "q"}, "merge");
  refuse(Pointer("/model/merges/0"), 7, "merge");
  refuse(Pointer("/added_tokens"), {{{"id", 5}, {"content", "<end>"}}}, "id of another");
  // In the text it would be these characters, in the vocabulary it is the byte of a space.
  const TokenId space = good_["model"]["vocab"]["\u0120"];
  refuse(Pointer("/added_tokens"), {{{"id", space}, {"content", "\u0120"}}}, "other bytes");
  refuse(Pointer("/added_tokens"), {{{"id", 5}}}, "content");
  refuse(Pointer("/added_tokens"), 3, "added_tokens");
  for (const char* text : {"", "[]", "{}", "{\"model\": 3}", "{\"a\": 1, \"a\": 2}"}) {
    EXPECT_EQ(Tokenizer::parse(text, "t").error().code, Code::kData) << text;
  }
}

TEST(Tokenizer, TakesTokensOfItsOwn) {
  BpeTrainer trainer;
  trainer.add("the theme of the thesis");
  Tokenizer tokenizer = trainer.train(260);
  EXPECT_EQ(tokenizer.added("<|a|>"), std::nullopt);
  EXPECT_EQ(tokenizer.add("<|a|>"), 260);
  EXPECT_EQ(tokenizer.add("<|abc|>"), 261);
  EXPECT_EQ(tokenizer.vocabulary(), 262u);
  const auto read = Tokenizer::parse(tokenizer.to_json(), "x").value();
  for (const Tokenizer& each : {tokenizer, read}) {
    EXPECT_EQ(each.added("<|abc|>"), 261);
    std::vector<TokenId> ids;
    each.encode("<|a|><|abc|>", ids);
    EXPECT_EQ(ids, (std::vector<TokenId>{260, 261}));
    EXPECT_EQ(each.decode(ids), "<|a|><|abc|>");
  }
}

}  // namespace
}  // namespace reef::data
