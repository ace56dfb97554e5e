// What teachers and students make of each other's letters: what is accepted of either is written
// again as it was, and whatever students send, in any order, a teacher's desk answers in bounds.

#include "actors/teach/desk.h"
#include "actors/teach/lessons.h"

#include <cmath>

#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

constexpr std::int64_t kVocabulary = 12;
constexpr std::size_t kLongest = 6;

void check_ask(BytesView payload) {
  const auto ask = actors::read_ask(payload, kVocabulary, kLongest, 4);
  if (!ask.ok()) return fuzz::check_refusal(ask.error(), {Code::kProto});
  CHECK(fuzz::same(actors::encode(*ask, kVocabulary), payload)) << "an ask is not what was read";
}

void check_said(BytesView payload, const actors::Manner& manner) {
  const std::size_t size = job::said_bytes(manner.top_k, manner.values, manner.vocabulary);
  const std::size_t positions = payload.size() / size;
  const auto said = actors::read_said(payload, positions, manner);
  if (!said.ok()) return fuzz::check_refusal(said.error(), {Code::kProto});
  CHECK(payload.size() == positions * size);
  for (std::size_t p = 0; p < positions; ++p) {
    double sum = 0;
    for (std::size_t i = 0; i < manner.top_k; ++i) {
      const float value = said->values[p * manner.top_k + i];
      CHECK(value >= 0 && value <= 1) << value;
      sum += double{value};
      const std::int32_t token = said->tokens[p * manner.top_k + i];
      CHECK(token >= 0 && token < manner.vocabulary);
      CHECK(i == 0 || token > said->tokens[p * manner.top_k + i - 1]);
    }
    CHECK(sum <= 1.001) << sum;
  }
}

/// A model that is as sure as its tokens are large; now and then it gives no numbers.
ops::Tensor logits(const std::vector<std::vector<std::int32_t>>& sequences) {
  std::size_t longest = 0;
  for (const auto& one : sequences) longest = std::max(longest, one.size());
  ops::Tensor out = ops::Tensor::zeros(ops::Pool::host(), ops::DType::kF32,
                                       {static_cast<std::int64_t>(sequences.size()),
                                        static_cast<std::int64_t>(longest), kVocabulary});
  for (std::size_t r = 0; r < sequences.size(); ++r) {
    for (std::size_t t = 0; t < sequences[r].size(); ++t) {
      const std::int32_t token = sequences[r][t];
      out.values<float>()[(r * longest + t) * kVocabulary] =
          token == kVocabulary - 1 ? NAN : static_cast<float>(token);
    }
  }
  return out;
}

node::Letter letter(fuzz::Input& input) {
  node::Letter letter;
  letter.kind = static_cast<std::uint16_t>(input.below(4));
  letter.number = input.below(8);
  if (input.below(2) == 0) {
    letter.payload = to_bytes(input.piece());
    return letter;
  }
  actors::Ask ask{1,
                  1 + static_cast<std::uint32_t>(input.below(5)),
                  static_cast<job::SaidAs>(input.below(2)),
                  {}};
  for (std::size_t i = 1 + input.below(4); i > 0; --i) {
    auto& sequence = ask.sequences.emplace_back(input.below(kLongest + 2));
    for (std::int32_t& token : sequence) token = static_cast<std::int32_t>(input.below(13));
  }
  letter.payload = actors::encode(ask, kVocabulary);
  return letter;
}

void serve(fuzz::Input& input) {
  job::Serves serves;
  serves.jobs = {"a", "b"};
  serves.top_k = 4;
  serves.cache = 4096;
  if (input.below(2) == 0) serves.requests_per_second = 2;
  if (input.below(2) == 0) {
    serves.clip = 2;
    serves.noise = 30;
    serves.epsilon = 1;
  }
  std::uint64_t asked = 0, said = 0;
  Time now{};
  actors::Desk desk(
      serves,
      {kVocabulary, kLongest, 16, logits,
       [](std::size_t count, const std::function<void(std::size_t)>& task) {
         for (std::size_t i = 0; i < count; ++i) task(i);
       }},
      [&said](std::uint32_t, const node::Letter&) { ++said; }, Random(1, "noise"), now);
  for (int turn = 0; turn < 64 && !input.empty(); ++turn) {
    const auto student =
        static_cast<std::uint32_t>(input.below(3) << actors::kStudentNodeBits | input.below(2));
    if (input.below(8) == 0) {
      desk.lost(student);
    } else {
      desk.take(student, letter(input));
      ++asked;
    }
    if (input.below(2) == 0) desk.serve(now);
    now += std::chrono::milliseconds(100 * input.below(20));
    CHECK(said <= asked) << "an answer to nothing";
    CHECK(serves.epsilon == 0 || desk.account().epsilon() <= serves.epsilon);
  }
}

/// A student that hears whatever it is told.
void learn(fuzz::Input& input) {
  job::Job job;
  job.model = nn::GptConfig{.vocab_size = kVocabulary, .n_positions = 6};
  job.training.context = kLongest;
  job.distillation.emplace();
  job.distillation->teachers = {{"es", 1, job::Teacher::Side::kTarget},
                                {"en", 1, job::Teacher::Side::kSource}};
  job.distillation->top_k = 2;
  job.distillation->patience = Duration::zero();
  actors::Post post(1 << 20);
  actors::Lessons lessons(
      job, 1, [](std::uint32_t, const node::Letter&) { return true; }, post, system_clock());
  const std::vector<std::int32_t> tokens{1, 2, 10, 3, 4, 11}, targets{-1, -1, 3, 4, 11, -1};
  for (std::uint64_t round = 0; round < 4 && !input.empty(); ++round) {
    lessons.ask({round, 0, 0}, tokens, targets);
    for (std::size_t i = input.below(6); i > 0; --i) {
      const auto from = static_cast<std::uint32_t>(input.below(3));
      if (input.below(8) == 0) {
        post.put({from, input.below(2) == 0, {}});
        continue;
      }
      node::Letter letter;
      letter.kind = static_cast<std::uint16_t>(input.below(4));
      letter.number = 1 + input.below(9);
      letter.payload = to_bytes(input.take(input.below(2) == 0 ? 18 : input.below(32)));
      post.put({from, std::nullopt, std::move(letter)});
    }
    const auto heard = lessons.hear({round, 0, 0});
    for (const auto& lesson : heard.lessons) {
      if (!lesson) continue;
      CHECK(lesson->said.tokens.size() == 2 * lesson->places.size());
      for (const std::size_t place : lesson->places) CHECK(place < tokens.size());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.below(4)) {
    case 0:
      check_ask(input.rest());
      break;
    case 1:
      check_said(input.rest(),
                 {2, size % 2 == 0 ? job::SaidAs::kInt8 : job::SaidAs::kBF16, kVocabulary});
      break;
    case 2:
      serve(input);
      break;
    default:
      learn(input);
  }
  return 0;
}
