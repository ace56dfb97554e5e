#include "actors/teach/lessons.h"

#include <algorithm>

#include "runtime/base/log.h"
#include "runtime/base/utf8.h"

namespace reef::actors {
namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(50);
constexpr std::size_t kMostComplaints = 5;  ///< of a teacher, in the log

}  // namespace

std::uint32_t teacher_number(const job::Distillation& distillation, std::size_t entry) {
  const auto& teachers = distillation.teachers;
  const auto first = std::ranges::find(teachers, teachers.at(entry).job, &job::Teacher::job);
  return static_cast<std::uint32_t>(first - teachers.begin());
}

Lessons::Lessons(const job::Job& job, std::uint64_t epoch, Send send, Post& post,
                 const Clock& clock)
    : distillation_(*job.distillation),
      manner_{distillation_.top_k, distillation_.values, nn::vocabulary_of(job.model)},
      window_(job.training.context),
      send_(std::move(send)),
      post_(post),
      clock_(clock),
      next_number_(epoch << 32) {}

void Lessons::ask(const Batch& batch, std::span<const std::int32_t> tokens,
                  std::span<const std::int32_t> targets) {
  const std::lock_guard lock(mutex_);
  auto& numbers = asked_[batch];
  for (std::size_t entry = 0; entry < distillation_.teachers.size(); ++entry) {
    auto passages = passages_of(tokens, targets, window_, distillation_.teachers[entry].side);
    if (passages.empty()) continue;
    Question question;
    question.entry = entry;
    Ask ask{static_cast<float>(distillation_.temperature), manner_.top_k, manner_.values, {}};
    for (Passage& passage : passages) {
      ask.sequences.push_back(std::move(passage.tokens));
      question.places.insert(question.places.end(), passage.places.begin(), passage.places.end());
    }
    question.payload = encode(ask, manner_.vocabulary);
    const std::uint64_t number = next_number_++;
    numbers.push_back(number);
    send(number, questions_[number] = std::move(question));
  }
}

/// If the teacher is not there: when it comes.
void Lessons::send(std::uint64_t number, Question& question) {
  node::Letter letter;
  letter.kind = static_cast<std::uint16_t>(Speech::kAsk);
  letter.number = number;
  letter.payload = question.payload;
  question.sent = send_(teacher_number(distillation_, question.entry), std::move(letter));
}

Lessons::Heard Lessons::hear(const Batch& batch) {
  std::vector<std::uint64_t> numbers;
  {
    const std::lock_guard lock(mutex_);
    if (auto found = asked_.extract(batch)) numbers = std::move(found.mapped());
  }
  const Time late = clock_.now() + distillation_.patience;
  for (Duration patience{};; patience = kLookAgain) {
    auto events = post_.take(patience);
    const std::lock_guard lock(mutex_);
    take(std::move(events));
    if (!waits_for(numbers) || post_.closed()) break;
    if (clock_.now() >= late) {
      give_up(numbers);
      break;
    }
  }
  const std::lock_guard lock(mutex_);
  Heard heard;
  heard.lessons.resize(distillation_.teachers.size());
  for (const std::uint64_t number : numbers) {
    Question& question = questions_.at(number);
    heard.asked += static_cast<std::uint64_t>(std::ranges::count_if(
        question.places, [](const auto& place) { return place.has_value(); }));
    heard.bytes += question.bytes;
    heard.lessons[question.entry] = std::move(question.lesson);
    questions_.erase(number);
  }
  return heard;
}

void Lessons::take(std::vector<Post::Event> events) {
  for (const Post::Event& event : events) {
    if (event.present) {
      changed(event.island, *event.present);
    } else {
      answered(event.island, event.letter);
    }
  }
}

/// What was under way to one that was lost may be gone.
void Lessons::changed(std::uint32_t teacher, bool present) {
  if (teacher >= distillation_.teachers.size()) return;
  presence_[teacher] = present ? Presence::kThere : Presence::kAway;
  log_info("teacher " + name_of(teacher) + (present ? " is there" : " is away"));
  for (auto& [number, question] : questions_) {
    if (teacher_number(distillation_, question.entry) != teacher || question.over) continue;
    if (!present) question.sent = false;
    if (!question.sent && present) send(number, question);
  }
}

void Lessons::answered(std::uint32_t teacher, const node::Letter& letter) {
  if (teacher < distillation_.teachers.size()) presence_[teacher] = Presence::kThere;
  const auto found = questions_.find(letter.number);
  if (found == questions_.end()) return;  // it came too late, or twice
  Question& question = found->second;
  if (teacher_number(distillation_, question.entry) != teacher || question.over) return;
  question.over = true;
  if (const Status learnt = learn(question, letter); !learnt.ok()) {
    question.lesson.reset();
    complain(teacher, learnt.error().what);
  }
}

Status Lessons::learn(Question& question, const node::Letter& letter) const {
  const auto kind = static_cast<Speech>(letter.kind);
  if (kind == Speech::kRefusal) {
    const auto words = as_text(letter.payload).substr(0, kLongestRefusal);
    return Error{Code::kRefused, "", "refused: " + printable(words, kLongestRefusal)};
  }
  if (kind != Speech::kAnswer)
    return Error{Code::kProto, "", "a letter that a student does not know"};
  ATOLL_ASSIGN(Said said, read_said(letter.payload, question.places.size(), manner_));
  question.bytes = letter.payload.size();
  // Only what was asked for.
  Lesson lesson;
  for (std::size_t i = 0; i < question.places.size(); ++i) {
    if (!question.places[i]) continue;
    lesson.places.push_back(*question.places[i]);
    const auto first = static_cast<std::ptrdiff_t>(i * manner_.top_k);
    const auto last = first + static_cast<std::ptrdiff_t>(manner_.top_k);
    const auto append = [first, last](auto& to, const auto& from) {
      to.insert(to.end(), from.begin() + first, from.begin() + last);
    };
    append(lesson.said.tokens, said.tokens);
    append(lesson.said.values, said.values);
  }
  question.lesson = std::move(lesson);
  return {};
}

bool Lessons::waits_for(const std::vector<std::uint64_t>& numbers) const {
  return std::ranges::any_of(numbers, [this](std::uint64_t number) {
    const Question& question = questions_.at(number);
    const auto known = presence_.find(teacher_number(distillation_, question.entry));
    const bool away = known != presence_.end() && known->second == Presence::kAway;
    return !question.over && !away;
  });
}

/// One that has not come yet is waited for no more until it has; one that is silent, until it says
/// something.
void Lessons::give_up(const std::vector<std::uint64_t>& numbers) {
  for (const std::uint64_t number : numbers) {
    const Question& question = questions_.at(number);
    if (question.over) continue;
    const std::uint32_t teacher = teacher_number(distillation_, question.entry);
    Presence& presence = presence_[teacher];
    complain(teacher, presence == Presence::kThere ? "no answer in time" : "is not there");
    presence = Presence::kAway;
  }
}

std::string Lessons::name_of(std::uint32_t teacher) const {
  return distillation_.teachers.at(teacher).job;
}

void Lessons::complain(std::uint32_t teacher, const std::string& what) {
  const std::size_t before = complaints_[teacher]++;
  if (before >= kMostComplaints) return;
  log_warning("teacher " + name_of(teacher) + ": " + what + "; the step goes on without it" +
              (before + 1 == kMostComplaints ? "; this is said no more" : ""));
}

}  // namespace reef::actors
