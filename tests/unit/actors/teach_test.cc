// A teacher's arithmetic: what it says and how it is read, its terms, and what its privacy costs.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "actors/teach/desk.h"
#include "actors/teach/ledger.h"
#include "actors/teach/lessons.h"
#include "tests/unit/scratch_folder.h"

namespace reef::actors {
namespace {

using namespace std::chrono_literals;
using job::SaidAs;
using Sequences = std::vector<std::vector<std::int32_t>>;

TEST(Speech, ReadsAsksAsTheyWereWritten) {
  const Ask ask{2.5f, 3, SaidAs::kBF16, {{1, 2, 3}, {299}, {0, 0}}};
  for (const std::int64_t vocabulary : {300, 70'000}) {
    const auto read = read_ask(encode(ask, vocabulary), vocabulary, 3, 16);
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(*read, ask);
  }
}

TEST(Speech, RefusesWhatIsNoAsk) {
  const Ask good{1, 3, SaidAs::kInt8, {{1, 2, 3}, {4}}};
  const auto refused = [](const Bytes& bytes) {
    const auto read = read_ask(bytes, 300, 3, 4);
    return !read.ok() && read.error().code == Code::kProto;
  };
  const Bytes bytes = encode(good, 300);
  EXPECT_FALSE(refused(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_TRUE(refused(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))));
  Bytes longer = bytes;
  longer.push_back({});
  EXPECT_TRUE(refused(longer));
  const auto with = [&](auto change) {
    Ask ask = good;
    change(ask);
    return encode(ask, 300);
  };
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.temperature = 0; })));
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.temperature = NAN; })));
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.temperature = INFINITY; })));
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.top_k = 0; })));
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.top_k = 5; })));
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.values = static_cast<SaidAs>(2); })));
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.sequences = {}; })));
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.sequences = {{}}; })));
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.sequences = {{1, 2, 3, 4}}; })));
  EXPECT_TRUE(refused(with([](Ask& ask) { ask.sequences = {{300}}; })));
}

TEST(Speech, AnswersComeBackAsProbabilities) {
  const Said said{{1, 5, 0, 299}, {std::log(0.5f), std::log(0.25f), 0, -9}};
  for (const SaidAs as : {SaidAs::kInt8, SaidAs::kBF16}) {
    const Manner manner{2, as, 300};
    const Bytes bytes = encode(said, manner);
    EXPECT_EQ(bytes.size(), 2 * job::said_bytes(2, as, 300));
    const auto read = read_said(bytes, 2, manner);
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(read->tokens, said.tokens);
    EXPECT_NEAR(read->values[0], 0.5, 0.02);
    EXPECT_NEAR(read->values[1], 0.25, 0.01);
    EXPECT_LE(read->values[2] + read->values[3], 1.0f + 1e-6f);
    EXPECT_NEAR(read->values[2], 1, 1e-3);
  }
}

TEST(Speech, RefusesWhatIsNoAnswer) {
  const Manner manner{2, SaidAs::kBF16, 300};
  const Bytes good = encode({{1, 5}, {-1, -2}}, manner);
  const auto refused = [&](const Bytes& bytes) {
    const auto read = read_said(bytes, 1, manner);
    return !read.ok() && read.error().code == Code::kProto;
  };
  EXPECT_FALSE(refused(good));
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(encode({{1, 5, 1, 5}, {-1, -2, -1, -2}}, manner)));
  EXPECT_TRUE(refused(encode({{5, 1}, {-1, -2}}, manner)));
  EXPECT_TRUE(refused(encode({{5, 5}, {-1, -2}}, manner)));
  EXPECT_TRUE(refused(encode({{5, 300}, {-1, -2}}, manner)));
  for (const std::uint16_t bits : {0x3f80, 0x7fc0, 0xff80, 0x7f80, 0xffc0}) {  // 1, NaN, infinities
    Bytes bytes = good;
    store<std::uint16_t>(bytes.data() + 4, bits);
    EXPECT_TRUE(refused(bytes)) << bits;
  }
}

TEST(Privacy, CostsWhatTheClosedFormSays) {
  PrivacyAccount account(/*noise=*/100, /*delta=*/1e-6);
  EXPECT_EQ(account.epsilon(), 0);
  account.spend(50);
  // One vector against another at most 2 clip away, under noise of 100 clip: rho = (2/100)^2 / 2.
  EXPECT_NEAR(account.rho(), 50 * 0.02 * 0.02 / 2, 1e-12);
  EXPECT_NEAR(account.epsilon(), 0.01 + 2 * std::sqrt(0.01 * std::log(1e6)), 1e-9);
  EXPECT_TRUE(account.allows(0, account.epsilon()));
  EXPECT_FALSE(account.allows(1, account.epsilon()));
  // As if all had been of one.
  PrivacyAccount again(100, 1e-6, account.rho());
  EXPECT_EQ(again.epsilon(), account.epsilon());
  again.spend(50);
  EXPECT_NEAR(again.rho(), 2 * account.rho(), 1e-12);
  EXPECT_NEAR(again.spent(), account.rho(), 1e-12);
  PrivacyAccount none(0, 1e-6);
  none.spend(1);
  EXPECT_TRUE(std::isinf(none.epsilon()));
}

TEST(PrivacyLedger, GoesOnWhereTheServiceBeforeWas) {
  const ScratchFolder folder;
  {
    const auto first = PrivacyLedger::open(folder.path());
    ASSERT_TRUE(first.ok()) << first.error().text();
    EXPECT_EQ(first->rho(), 0);
    EXPECT_TRUE(first->keep(0.25, 100).ok());
    EXPECT_TRUE(first->keep(0.5, 200).ok());  // of all, not beside it
    const auto second = PrivacyLedger::open(folder.path());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, Code::kRefused);
  }
  const auto again = PrivacyLedger::open(folder.path());
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(again->rho(), 0.5);
  EXPECT_EQ(again->positions(), 200u);
  EXPECT_TRUE(again->keep(1, 7).ok());
  EXPECT_EQ(read_file(folder.path() / "privacy.json").value(), "{\"rho\":1.5,\"positions\":207}\n");
}

TEST(PrivacyLedger, IsNotGuessedWhereItIsDamaged) {
  const ScratchFolder folder;
  for (const char* text : {"", "{}", "{\"rho\":-1,\"positions\":2}", "{\"rho\":1}", "[1]",
                           "{\"rho\":1e999,\"positions\":2}", "{\"rho\":1,\"positions\":-2}"}) {
    ASSERT_TRUE(write_file(folder.path() / "privacy.json", as_bytes(std::string_view(text))).ok());
    const auto ledger = PrivacyLedger::open(folder.path());
    ASSERT_FALSE(ledger.ok()) << text;
    EXPECT_EQ(ledger.error().code, Code::kData) << text;
  }
}

TEST(Privacy, NoVectorIsLongerThanTheClip) {
  std::vector<float> logits{10, 20, 30, 40};
  clip_logits(logits, 5);
  double squares = 0, sum = 0;
  for (const float logit : logits) squares += double{logit} * logit, sum += logit;
  EXPECT_NEAR(std::sqrt(squares), 5, 1e-5);
  EXPECT_NEAR(sum, 0, 1e-5);
  std::vector<float> small{1, 2, 3};
  clip_logits(small, 5);
  EXPECT_EQ(small, (std::vector<float>{-1, 0, 1}));
}

TEST(Privacy, NoiseHasItsDeviationAndIsNeverTheSame) {
  const Random noise(5, "noise");
  std::vector<float> first(20'000), second(20'000);
  add_noise(first, 3, noise, 0);
  add_noise(second, 3, noise, 1);
  double squares = 0;
  for (const float value : first) squares += double{value} * value;
  EXPECT_NEAR(std::sqrt(squares / 20'000), 3, 0.05);
  EXPECT_NE(first, second);
}

TEST(RateLimit, GivesWhatComesInASecond) {
  const Time begin{};
  RateLimit limit(4, begin);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(limit.take(begin));
  EXPECT_FALSE(limit.take(begin));
  EXPECT_NEAR(seconds(limit.wait(begin)), 0.25, 1e-3);
  EXPECT_FALSE(limit.take(begin + 240ms));
  EXPECT_TRUE(limit.take(begin + 251ms));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(limit.take(begin + 1h));  // no more than a second's
  EXPECT_FALSE(limit.take(begin + 1h));
  RateLimit none(0, begin);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(none.take(begin));
}

TEST(AnswerCache, ForgetsWhatWasAskedLongestAgo) {
  const auto question = [](std::int32_t token) { return Question{1, 2, SaidAs::kInt8, {token}}; };
  AnswerCache cache(3 * (256 + 100 + 4));
  for (std::int32_t i = 0; i < 3; ++i) cache.put(question(i), Bytes(100));
  EXPECT_NE(cache.find(question(0)), nullptr);
  cache.put(question(3), Bytes(100));
  EXPECT_EQ(cache.find(question(1)), nullptr);
  EXPECT_NE(cache.find(question(0)), nullptr);
  Question warmer = question(0);
  warmer.temperature = 2;
  EXPECT_EQ(cache.find(warmer), nullptr);
  cache.put(question(4), Bytes(10'000));
  EXPECT_EQ(cache.find(question(4)), nullptr);
  EXPECT_LE(cache.bytes(), 3u * (256 + 100 + 4));
}

/// A model of eight tokens that thinks the next is the last one's successor.
class DeskTest : public testing::Test {
 protected:
  static constexpr std::int64_t kVocabulary = 8;

  Desk desk(const job::Serves& serves, Spending spending = {}) {
    Desk::Model model{kVocabulary, 4, 8,
                      [this](const Sequences& sequences) {
                        batches_.push_back(sequences.size());
                        return logits(sequences);
                      },
                      [](std::size_t count, const std::function<void(std::size_t)>& task) {
                        for (std::size_t i = 0; i < count; ++i) task(i);
                      }};
    return Desk(
        serves, std::move(model),
        [this](std::uint32_t student, node::Letter letter) {
          said_.emplace_back(student, std::move(letter));
        },
        Random(1, "noise"), now_, std::move(spending));
  }
  ops::Tensor logits(const Sequences& sequences) const {
    std::size_t longest = 0;
    for (const auto& one : sequences) longest = std::max(longest, one.size());
    ops::Tensor out = ops::Tensor::zeros(ops::Pool::host(), ops::DType::kF32,
                                         {static_cast<std::int64_t>(sequences.size()),
                                          static_cast<std::int64_t>(longest), kVocabulary});
    for (std::size_t r = 0; r < sequences.size(); ++r) {
      for (std::size_t t = 0; t < sequences[r].size(); ++t) {
        const auto next = static_cast<std::size_t>((sequences[r][t] + 1) % kVocabulary);
        out.values<float>()[(r * longest + t) * kVocabulary + next] = broken_ ? NAN : 3;
      }
    }
    return out;
  }
  static node::Letter asking(std::uint64_t number, Sequences sequences, std::uint32_t k = 2) {
    node::Letter letter;
    letter.kind = static_cast<std::uint16_t>(Speech::kAsk);
    letter.number = number;
    letter.payload = encode(Ask{1, k, SaidAs::kInt8, std::move(sequences)}, kVocabulary);
    return letter;
  }
  std::string refusal() {
    EXPECT_EQ(said_.size(), 1u);
    const node::Letter letter = said_.at(0).second;
    said_.clear();
    EXPECT_EQ(letter.kind, static_cast<std::uint16_t>(Speech::kRefusal));
    return std::string(as_text(letter.payload));
  }
  static constexpr std::uint32_t student(std::uint32_t job, std::uint32_t node) {
    return job << kStudentNodeBits | node;
  }

  Time now_{};
  bool broken_ = false;
  std::vector<std::size_t> batches_;
  std::vector<std::pair<std::uint32_t, node::Letter>> said_;
};

TEST_F(DeskTest, AnswersManyInOnePass) {
  const job::Serves serves{.jobs = {"a", "b"}};
  Desk desk = this->desk(serves);
  desk.take(student(0, 3), asking(7, {{1, 2}, {5}}));
  desk.take(student(1, 4), asking(9, {{6, 7}}));
  desk.serve(now_);
  ASSERT_EQ(said_.size(), 2u);
  EXPECT_EQ(batches_, std::vector<std::size_t>{3});
  for (const auto& [who, letter] : said_) {
    const bool first = who == student(0, 3);
    EXPECT_EQ(letter.number, first ? 7u : 9u);
    const auto said = read_said(letter.payload, first ? 3 : 2, {2, SaidAs::kInt8, kVocabulary});
    ASSERT_TRUE(said.ok()) << said.error().text();
    // The successor, and of the others, which are alike, the first.
    const std::vector<std::int32_t> expected =
        first ? std::vector<std::int32_t>{0, 2, 0, 3, 0, 6} : std::vector<std::int32_t>{0, 7, 0, 1};
    EXPECT_EQ(said->tokens, expected);
    EXPECT_NEAR(said->values[1], std::exp(3) / (std::exp(3) + 7), 0.03);
  }
  EXPECT_EQ(desk.served().positions, 5u);
  EXPECT_EQ(desk.of_jobs(), (std::vector<std::uint64_t>{3, 2}));
}

TEST_F(DeskTest, TheSameQuestionIsAnsweredFromTheCache) {
  const job::Serves serves{.jobs = {"a"}, .clip = 2, .noise = 1};
  Desk desk = this->desk(serves);
  desk.take(0, asking(1, {{1, 2}, {1, 2}}));
  desk.serve(now_);
  desk.take(0, asking(2, {{1, 2}}));
  desk.serve(now_);
  ASSERT_EQ(said_.size(), 2u);
  EXPECT_EQ(batches_, std::vector<std::size_t>{1});
  // Noise and all: another noise would be another release.
  const Bytes &first = said_[0].second.payload, &second = said_[1].second.payload;
  EXPECT_TRUE(std::equal(second.begin(), second.end(), first.begin()));
  EXPECT_EQ(desk.served().cached, 4u);
  EXPECT_EQ(desk.account().positions(), 2u);
}

TEST_F(DeskTest, BatchesAreAsLargeAsTheyMayBe) {
  const job::Serves serves{.jobs = {"a"}};
  Desk desk = this->desk(serves);
  desk.take(0, asking(1, {{1}, {2}, {3, 4, 5, 6}, {4, 5, 6, 7}, {5, 6, 7, 0}}));
  desk.serve(now_);
  EXPECT_EQ(batches_, (std::vector<std::size_t>{2, 2, 1}));  // of at most 8 tokens with padding
  EXPECT_EQ(said_.size(), 1u);
}

TEST_F(DeskTest, RatesAreEachJobsOwn) {
  const job::Serves serves{.jobs = {"a", "b"}, .requests_per_second = 1};
  Desk desk = this->desk(serves);
  for (const std::uint64_t number : {1u, 2u}) desk.take(student(0, 0), asking(number, {{1}}));
  desk.take(student(1, 1), asking(3, {{1}}));
  EXPECT_NEAR(seconds(desk.serve(now_)), 1, 1e-3);
  EXPECT_EQ(said_.size(), 2u);
  desk.serve(now_ + 500ms);
  EXPECT_EQ(said_.size(), 2u);
  desk.serve(now_ + 1001ms);
  ASSERT_EQ(said_.size(), 3u);
  EXPECT_EQ(said_[2].second.number, 2u);
}

TEST_F(DeskTest, RefusesInWords) {
  const job::Serves serves{.jobs = {"a"}, .top_k = 2};
  Desk desk = this->desk(serves);
  desk.take(student(1, 0), asking(1, {{1}}));
  EXPECT_EQ(refusal(), "a job that this teacher does not serve");
  desk.take(0, asking(1, {{1}}, 3));
  EXPECT_EQ(refusal(), "an ask for 3 tokens of a position; limit 2");
  desk.take(0, {});
  EXPECT_EQ(refusal(), "a letter that a teacher does not know");
  desk.take(0, asking(1, {{1, 2, 3, 4, 5}}));
  EXPECT_EQ(refusal(), "a sequence of 5 tokens; the model takes 1 to 4");
  for (std::size_t i = 0; i < Desk::kMostWaiting; ++i) desk.take(0, asking(i, {{1}}));
  desk.take(0, asking(99, {{1}}));
  EXPECT_EQ(refusal(), "too many asks wait for this teacher already");
  desk.lost(0);
  desk.serve(now_);
  EXPECT_TRUE(said_.empty());
  broken_ = true;
  desk.take(0, asking(1, {{1}}));
  desk.serve(now_);
  EXPECT_EQ(refusal(), "the teacher's model gave no numbers");
}

TEST_F(DeskTest, LetsOutNoMoreThanItMay) {
  const double limit = 2.0 / 100 / 100 * 3 + 2 * std::sqrt(2.0 / 100 / 100 * 3 * std::log(1e6));
  const job::Serves serves{.jobs = {"a"}, .clip = 1, .noise = 100, .epsilon = limit * 1.001};
  Desk desk = this->desk(serves);
  desk.take(0, asking(1, {{1, 2, 3}}));
  desk.serve(now_);
  EXPECT_EQ(said_.size(), 1u);
  said_.clear();
  desk.take(0, asking(2, {{4}}));
  desk.serve(now_);
  EXPECT_EQ(refusal(), "what this teacher may let out (spec.serves.epsilon) has been let out");
  desk.take(0, asking(3, {{1, 2, 3}}));  // which has been let out already
  desk.serve(now_);
  EXPECT_EQ(said_.size(), 1u);
  EXPECT_EQ(desk.account().positions(), 3u);
}

/// Before it leaves, and by what services before have spent.
TEST_F(DeskTest, KeepsAccountOfWhatItLetsOut) {
  const job::Serves serves{.jobs = {"a"}, .clip = 1, .noise = 10, .epsilon = 100};
  std::vector<std::uint64_t> kept;
  bool full = false;
  Desk desk = this->desk(serves, {0.5, [&](const PrivacyAccount& account) -> Status {
                                    EXPECT_TRUE(said_.empty());
                                    if (full) return Error{Code::kIo, "disk", "is full"};
                                    kept.push_back(account.positions());
                                    return {};
                                  }});
  EXPECT_EQ(desk.account().rho(), 0.5);
  desk.take(0, asking(1, {{1, 2, 3}}));
  desk.serve(now_);
  EXPECT_EQ(said_.size(), 1u);
  said_.clear();
  desk.take(0, asking(2, {{1, 2, 3}}));  // has left before
  desk.serve(now_);
  said_.clear();
  EXPECT_EQ(kept, std::vector<std::uint64_t>{3});
  full = true;
  desk.take(0, asking(3, {{4}}));
  desk.serve(now_);
  EXPECT_EQ(refusal(), "this teacher cannot keep account of what it lets out");
  full = false;
  desk.take(0, asking(4, {{4}}));  // nothing of it was kept, so nothing is in the cache
  desk.serve(now_);
  EXPECT_EQ(said_.size(), 1u);
  EXPECT_EQ(kept, (std::vector<std::uint64_t>{3, 5}));
}

// One window of two pairs, padded: a b <sep> x y <end>  c <sep> z <end>  <end> <end>
const std::vector<std::int32_t> kWindow{1, 2, 90, 11, 12, 91, 3, 90, 13, 91, 91, 91};
const std::vector<std::int32_t> kCounted{-1, -1, 11, 12, 91, -1, -1, 13, 91, -1, -1, -1};

TEST(Sides, TargetsAreWhatCounts) {
  const auto passages = passages_of(kWindow, kCounted, 12, job::Teacher::Side::kTarget);
  const std::vector<Passage> expected{{{90, 11, 12}, {2, 3, 4}}, {{90, 13}, {7, 8}}};
  EXPECT_EQ(passages, expected);
  // Of a text that is no pairs, all of each window.
  const std::vector<std::int32_t> text{1, 2, 3, 4}, next{2, 3, 4, 5};
  const std::vector<Passage> whole{{{1, 2}, {0, 1}}, {{3, 4}, {2, 3}}};
  EXPECT_EQ(passages_of(text, next, 2, job::Teacher::Side::kTarget), whole);
  EXPECT_TRUE(passages_of(text, next, 2, job::Teacher::Side::kSource).empty());
}

TEST(Sides, SourcesAreShownAsTheirTeacherWasTrained) {
  const auto passages = passages_of(kWindow, kCounted, 12, job::Teacher::Side::kSource);
  // Of "c" alone nothing is asked: what follows it is the separator.
  const std::vector<Passage> expected{{{90, 1}, {std::nullopt, 0}}};
  EXPECT_EQ(passages, expected);
}

/// A student of two teachers, with a clock that moves while it waits.
class LessonsTest : public testing::Test {
 protected:
  LessonsTest() {
    job_.model = nn::GptConfig{.vocab_size = 100, .n_positions = 12};
    job_.training.context = 12;
    job_.distillation.emplace();
    job_.distillation->teachers = {{"es", 1, job::Teacher::Side::kTarget},
                                   {"en", 1, job::Teacher::Side::kSource}};
    job_.distillation->top_k = 2;
    job_.distillation->patience = 500ms;
  }
  Lessons lessons() {
    return Lessons(
        job_, 3,
        [this](std::uint32_t teacher, node::Letter letter) {
          if (teacher == away_) return false;
          sent_.emplace_back(teacher, std::move(letter));
          return true;
        },
        post_, system_clock());
  }
  /// What the teacher says to the letter that was sent `index`-th.
  void answer(std::size_t index, std::size_t positions) {
    Said said;
    for (std::size_t i = 0; i < positions; ++i) {
      said.tokens.insert(said.tokens.end(), {4, 5});
      said.values.insert(said.values.end(), {std::log(0.5f), std::log(0.25f)});
    }
    node::Letter letter;
    letter.kind = static_cast<std::uint16_t>(Speech::kAnswer);
    letter.number = sent_.at(index).second.number;
    letter.payload = encode(said, {2, SaidAs::kInt8, 100});
    post_.put({sent_[index].first, std::nullopt, std::move(letter)});
  }

  job::Job job_;
  Post post_{1 << 20};
  std::vector<std::pair<std::uint32_t, node::Letter>> sent_;
  std::optional<std::uint32_t> away_;
};

TEST_F(LessonsTest, AreHeardOfTheMicroBatchThatWasAskedAbout) {
  Lessons lessons = this->lessons();
  lessons.ask({0, 0, 0}, kWindow, kCounted);
  lessons.ask({0, 0, 1}, kWindow, kCounted);
  ASSERT_EQ(sent_.size(), 4u);
  EXPECT_EQ(sent_[1].first, 1u);
  for (const std::size_t index : {3u, 2u, 1u, 0u}) answer(index, index % 2 == 0 ? 5 : 2);
  for (const std::uint32_t micro : {0u, 1u}) {
    const Lessons::Heard heard = lessons.hear({0, 0, micro});
    ASSERT_TRUE(heard.lessons[0] && heard.lessons[1]);
    EXPECT_EQ(heard.lessons[0]->places, (std::vector<std::size_t>{2, 3, 4, 7, 8}));
    EXPECT_EQ(heard.lessons[1]->places,
              std::vector<std::size_t>{0});  // the separator's is nobody's
    EXPECT_EQ(heard.lessons[1]->said.tokens.size(), 2u);
    EXPECT_EQ(heard.asked, 6u);
    EXPECT_EQ(heard.bytes, 7 * job::said_bytes(2, SaidAs::kInt8, 100));
  }
  EXPECT_EQ(lessons.hear({0, 0, 0}).asked, 0u);
}

TEST_F(LessonsTest, GoOnWithoutATeacherThatSaysWhatCannotBe) {
  Lessons lessons = this->lessons();
  lessons.ask({0, 0, 0}, kWindow, kCounted);
  answer(0, 4);  // of fewer positions
  node::Letter refusal;
  refusal.kind = static_cast<std::uint16_t>(Speech::kRefusal);
  refusal.number = sent_[1].second.number;
  refusal.payload = to_bytes(as_bytes("no"));
  post_.put({0, std::nullopt, refusal});  // another's answer counts for nothing
  post_.put({1, std::nullopt, refusal});
  const Time begun = system_clock().now();
  const Lessons::Heard heard = lessons.hear({0, 0, 0});
  EXPECT_FALSE(heard.lessons[0] || heard.lessons[1]);
  EXPECT_EQ(heard.asked, 6u);
  EXPECT_EQ(heard.bytes, 0u);
  EXPECT_LT(system_clock().now() - begun, job_.distillation->patience);
}

TEST_F(LessonsTest, AreAskedForAgainWhenATeacherIsBack) {
  Lessons lessons = this->lessons();
  lessons.ask({0, 0, 0}, kWindow, kCounted);
  post_.put({0, true, {}});
  post_.put({0, false, {}});
  post_.put({1, true, {}});
  answer(1, 2);
  const Lessons::Heard heard = lessons.hear({0, 0, 0});  // for a lost one nobody waits
  EXPECT_TRUE(!heard.lessons[0] && heard.lessons[1]);
  away_ = 0;
  lessons.ask({1, 0, 0}, kWindow, kCounted);
  const std::size_t before = sent_.size();
  EXPECT_EQ(sent_.back().first, 1u);
  answer(before - 1, 2);
  away_.reset();
  post_.put({0, true, {}});
  EXPECT_FALSE(lessons.hear({1, 0, 0}).lessons[0]);  // it was asked again, but has not answered
  ASSERT_EQ(sent_.size(), before + 1);
  EXPECT_EQ(sent_.back().first, 0u);
  EXPECT_EQ(sent_.back().second.number, sent_[before - 1].second.number - 1);
}

TEST_F(LessonsTest, AreAskedForOnceBeforeATeacherIsSaidToBeThere) {
  Lessons lessons = this->lessons();
  lessons.ask({0, 0, 0}, kWindow, kCounted);
  const std::size_t before = sent_.size();
  post_.put({0, true, {}});
  post_.put({1, true, {}});
  answer(0, 5);
  answer(1, 2);
  EXPECT_TRUE(lessons.hear({0, 0, 0}).lessons[0]);
  EXPECT_EQ(sent_.size(), before);
}

TEST_F(LessonsTest, PatienceIsLostOnceWithOneThatDoesNotCome) {
  Lessons lessons = this->lessons();
  for (const std::uint64_t round : {0u, 1u}) {
    lessons.ask({round, 0, 0}, kWindow, kCounted);
    const Time begun = system_clock().now();
    EXPECT_FALSE(lessons.hear({round, 0, 0}).lessons[0]);
    const Duration took = system_clock().now() - begun;
    EXPECT_EQ(took >= job_.distillation->patience, round == 0);
  }
}

}  // namespace
}  // namespace reef::actors
