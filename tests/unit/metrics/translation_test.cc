#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "actors/metrics/translation/bleu.h"
#include "actors/metrics/translation/chrf.h"
#include "actors/metrics/translation/tokenize_13a.h"

namespace reef::translation {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

template <typename Metric>
double score(const Pairs& pairs) {
  Metric metric;
  for (const auto& [hypothesis, reference] : pairs) metric.add(hypothesis, reference);
  return metric.score();
}

/// The words, a bar between two.
std::u32string words(std::u32string_view line) {
  Units row = words_of(tokenize_13a(line));
  for (char32_t& c : row.text) c = c == U' ' ? U'|' : c;
  return row.text;
}

TEST(Characters, AreDecoded) {
  EXPECT_EQ(characters_of("a\u00e9\u20ac\U0001F600"), U"a\u00e9\u20ac\U0001F600");
  EXPECT_EQ(characters_of("a\xC3(\xF0\x9F\x98"), U"a\uFFFD(\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(characters_of(std::string_view("a\0b", 3)), std::u32string_view(U"a\0b", 3));
  EXPECT_EQ(characters_of(""), U"");
}

TEST(Chrf, IsWhatOneCountsByHand) {
  EXPECT_DOUBLE_EQ(score<Chrf>({{"abcdef", "abcdef"}}), 100);
  EXPECT_DOUBLE_EQ(score<Chrf>({{"abc", "xyz"}}), 0);
  // Of one to three characters: 2 of 3, 1 of 2, none of 1. Longer n-grams do not exist.
  EXPECT_NEAR(score<Chrf>({{"abc", "abd"}}), 100 * (2.0 / 3 + 1.0 / 2) / 3, 1e-12);
  // Precision 1, recall 3/6, 2/5, 1/4: recall weighs four times as much.
  const double recall = (3.0 / 6 + 2.0 / 5 + 1.0 / 4) / 3;
  EXPECT_NEAR(score<Chrf>({{"abc", "abcdef"}}), 100 * 5 * recall / (4 + recall), 1e-12);
  // An n-gram counts as often as both have it.
  EXPECT_NEAR(score<Chrf>({{"aaaa", "aa"}}),
              100 * 5 * (2.0 / 4 + 1.0 / 3) / 2 / (4 * (2.0 / 4 + 1.0 / 3) / 2 + 1), 1e-12);
}

TEST(Chrf, LooksAtCharactersAndNotAtSpaces) {
  EXPECT_DOUBLE_EQ(score<Chrf>({{"el a\u00f1o", "\u00a0el\u3000a\u00f1o\t"}}), 100);
  // Bytes would have half of it in common.
  EXPECT_DOUBLE_EQ(score<Chrf>({{"\u00e9", "\u00e8"}}), 0);
}

TEST(Chrf, AddsUpLines) {
  EXPECT_EQ(score<Chrf>({}), 0);
  EXPECT_EQ(score<Chrf>({{"", ""}}), 0);
  EXPECT_EQ(score<Chrf>({{"", "abc"}}), 0);
  // What stands against an empty reference is not counted.
  EXPECT_DOUBLE_EQ(score<Chrf>({{"noise", ""}, {"abc", "abc"}}), 100);
  EXPECT_NEAR(score<Chrf>({{"abc", "abd"}, {"abd", "abd"}}),
              100 * (5.0 / 6 + 3.0 / 4 + 1.0 / 2) / 3, 1e-12);
}

TEST(Tokenize13a, PartsPunctuation) {
  EXPECT_EQ(words(U"\"Hello,\" (he) said: it's 50% off!"),
            U"\"|Hello|,|\"|(|he|)|said|:|it's|50|%|off|!");
  EXPECT_EQ(words(U"1,000.5 1.000, .5 a.b 5."), U"1,000.5|1.000|,|.|5|a|.|b|5|.");
  EXPECT_EQ(words(U"well-known 1990-95 a--b"), U"well-known|1990|-|95|a--b");
  EXPECT_EQ(words(U"wait..., what"), U"wait|.|.|.|,|what");
  EXPECT_EQ(words(U"&quot;a&quot; &amp;lt; <skipped>b"), U"\"|a|\"|<|b");
  EXPECT_EQ(words(U"\u00bfqu\u00e9? \u00a1s\u00ed!\u00a0no"),
            U"\u00bfqu\u00e9|?|\u00a1s\u00ed|!|no");
  EXPECT_EQ(words(U"  "), U"");
}

TEST(Bleu, IsWhatOneCountsByHand) {
  EXPECT_NEAR(score<Bleu>({{"a b c d e", "a b c d e"}}), 100, 1e-12);
  EXPECT_EQ(score<Bleu>({{"a b c d", "w x y z"}}), 0);
  // The second "the" has no partner.
  EXPECT_NEAR(score<Bleu>({{"the cat sat on the mat", "the cat sat on a mat"}}),
              100 * std::pow(5.0 / 6 * 3 / 5 * 2 / 4 * 1 / 3, 0.25), 1e-12);
  // Too short by a word: exp(1 - 5 / 4).
  EXPECT_NEAR(score<Bleu>({{"a b c d", "a b c d e"}}), 100 * std::exp(-0.25), 1e-12);
  // Orders without a match count 1/2 and 1/4.
  EXPECT_NEAR(score<Bleu>({{"a b x y", "a b c d"}}),
              100 * std::pow(2.0 / 4 * 1 / 3 * 0.5 / 2 * 0.25 / 1, 0.25), 1e-12);
}

TEST(Bleu, AddsUpLines) {
  EXPECT_EQ(score<Bleu>({}), 0);
  EXPECT_EQ(score<Bleu>({{"", ""}}), 0);
  EXPECT_EQ(score<Bleu>({{"", "a b c d"}}), 0);
  EXPECT_EQ(score<Bleu>({{"a b c", "a b c"}}), 0) << "no line has four words";
  EXPECT_NEAR(score<Bleu>({{"a b c", "a b c"}, {"a b c d", "a b c d"}}), 100, 1e-12);
  Bleu bleu;
  bleu.add("a b c d", "a b c d e f");
  bleu.add("a b c d e f", "a b c d");
  EXPECT_EQ(bleu.brevity_penalty(), 1) << "it is of all lines together";
}

}  // namespace
}  // namespace reef::translation
