#include "actors/teach/desk.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/base/text.h"

namespace reef::actors {
namespace {

constexpr Duration kNothingToDo = std::chrono::hours(1);
constexpr std::size_t kMostAtOnce = 32;  ///< asks that are answered together

/// The most likely of a position, with their logarithms at the temperature. False: no numbers.
bool take_top(std::span<const float> logits, const Question& question,
              std::vector<std::int32_t>& order, Said& said) {
  const double inverse = 1 / double{question.temperature};
  const double greatest = double{*std::ranges::max_element(logits)};
  double total = 0;
  for (const float logit : logits)
    total += std::exp(static_cast<float>((double{logit} - greatest) * inverse));
  if (!std::isfinite(greatest) || !std::isfinite(total)) return false;
  const double norm = std::log(total);
  order.resize(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto last = order.begin() + question.top_k;
  const auto likelier = [logits](std::int32_t a, std::int32_t b) {
    const float left = logits[static_cast<std::size_t>(a)];
    const float right = logits[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  };
  if (last != order.end()) std::nth_element(order.begin(), last, order.end(), likelier);
  std::sort(order.begin(), last);
  for (auto token = order.begin(); token != last; ++token) {
    const double logit = double{logits[static_cast<std::size_t>(*token)]};
    said.tokens.push_back(*token);
    said.values.push_back(static_cast<float>((logit - greatest) * inverse - norm));
  }
  return true;
}

}  // namespace

std::size_t Desk::Thoughts::find(const Question& question) const {
  const auto [first, last] = places.equal_range(hash_of(question));
  const auto found = std::find_if(
      first, last, [&](const auto& place) { return all[place.second].question == question; });
  return found == last ? all.size() : found->second;
}

void Desk::Thoughts::add(Question question, std::uint64_t first_row) {
  places.emplace(hash_of(question), all.size());
  all.push_back({std::move(question), first_row, {}});
}

void Desk::Thoughts::cut_back(std::size_t size) {
  all.resize(size);
  std::erase_if(places, [size](const auto& place) { return place.second >= size; });
}

Desk::Desk(const job::Serves& serves, Model model, Reply reply, Random noise, Time now,
           Spending spending)
    : serves_(serves),
      model_(std::move(model)),
      reply_(std::move(reply)),
      noise_(noise),
      limits_(serves.jobs.size(), RateLimit(serves.requests_per_second, now)),
      cache_(serves.cache),
      spending_(std::move(spending)),
      account_(serves.noise, serves.delta, spending_.before),
      of_jobs_(serves.jobs.size()) {}

void Desk::lost(std::uint32_t student) { waiting_.erase(student); }

void Desk::refuse(std::uint32_t student, std::uint64_t number, const std::string& why) {
  ++served_.refused;
  node::Letter letter;
  letter.kind = static_cast<std::uint16_t>(Speech::kRefusal);
  letter.number = number;
  letter.payload = to_bytes(as_bytes(std::string_view(why).substr(0, kLongestRefusal)));
  reply_(student, std::move(letter));
}

void Desk::take(std::uint32_t student, node::Letter letter) {
  ++served_.asks;
  if (letter.kind != static_cast<std::uint16_t>(Speech::kAsk))
    return refuse(student, letter.number, "a letter that a teacher does not know");
  if (student >> kStudentNodeBits >= serves_.jobs.size())
    return refuse(student, letter.number, "a job that this teacher does not serve");
  auto ask = read_ask(letter.payload, model_.vocabulary, model_.longest, serves_.top_k);
  if (!ask.ok()) return refuse(student, letter.number, ask.error().what);
  auto& waiting = waiting_[student];
  std::size_t tokens = 0, before = 0;
  for (const auto& sequence : ask->sequences) tokens += sequence.size();
  for (const Waiting& one : waiting) before += one.tokens;
  if (waiting.size() == kMostWaiting || before + tokens > kMostWaitingTokens)
    return refuse(student, letter.number, "too many asks wait for this teacher already");
  if (tokens * job::said_bytes(ask->top_k, ask->values, model_.vocabulary) > job::kMostAnswer)
    return refuse(student, letter.number, "an answer would be larger than a letter may be");
  waiting.push_back({letter.number, tokens, std::move(*ask)});
}

Duration Desk::serve(Time now) {
  std::vector<Draft> drafts;
  Thoughts thoughts;
  admit(now, drafts, thoughts);
  keep_account(drafts, thoughts);
  think(thoughts.all);
  for (Draft& draft : drafts) answer(draft, thoughts.all);
  for (Thought& thought : thoughts.all) {
    if (!thought.answer.empty()) cache_.put(std::move(thought.question), std::move(thought.answer));
  }
  Duration next = kNothingToDo;
  for (const auto& [student, asks] : waiting_) {
    if (!asks.empty()) next = std::min(next, limit_of(student).wait(now));
  }
  return next;
}

/// What cannot be accounted for is not let out.
void Desk::keep_account(std::vector<Draft>& drafts, Thoughts& thoughts) {
  if (!spending_.keep || account_.positions() == kept_) return;
  if (spending_.keep(account_).ok()) {
    kept_ = account_.positions();
    return;
  }
  for (const Draft& draft : drafts)
    refuse(draft.student, draft.number, "this teacher cannot keep account of what it lets out");
  drafts.clear();
  thoughts.cut_back(0);
}

/// In turns, so that nobody waits behind all that another has asked.
void Desk::admit(Time now, std::vector<Draft>& drafts, Thoughts& thoughts) {
  std::size_t admitted = 0, tokens = 0, passed_over = 0;
  auto turn = waiting_.lower_bound(next_student_);
  while (admitted < kMostAtOnce && tokens < kTokensAtOnce && passed_over < waiting_.size()) {
    if (turn == waiting_.end()) turn = waiting_.begin();
    const auto student = turn++;
    if (student->second.empty() || !limit_of(student->first).take(now)) {
      ++passed_over;
      continue;
    }
    passed_over = 0;
    ++admitted;
    Waiting next = std::move(student->second.front());
    student->second.pop_front();
    tokens += next.tokens;
    draft(student->first, std::move(next), drafts, thoughts);
  }
  next_student_ = turn == waiting_.end() ? 0 : turn->first;
}

void Desk::draft(std::uint32_t student, Waiting waiting, std::vector<Draft>& drafts,
                 Thoughts& thoughts) {
  Draft draft{student, waiting.number, {}, {}, 0, 0};
  const std::size_t before = thoughts.all.size();
  std::uint64_t row = next_row_;
  for (auto& sequence : waiting.ask.sequences) {
    Question question{waiting.ask.temperature, waiting.ask.top_k, waiting.ask.values,
                      std::move(sequence)};
    const std::size_t length = question.tokens.size();
    draft.positions += length;
    const std::size_t same = thoughts.find(question);
    const bool thought = same < thoughts.all.size();
    const Bytes* const known = thought ? nullptr : cache_.find(question);
    draft.parts.push_back(known == nullptr ? Bytes() : *known);
    draft.thoughts.emplace_back();
    if (known != nullptr || thought) draft.cached += length;
    if (known != nullptr) continue;
    draft.thoughts.back() = same;
    if (thought) continue;
    thoughts.add(std::move(question), row);
    row += length;
  }
  if (serves_.epsilon > 0 && !account_.allows(row - next_row_, serves_.epsilon)) {
    thoughts.cut_back(before);
    return refuse(student, waiting.number,
                  "what this teacher may let out (spec.serves.epsilon) has been let out");
  }
  account_.spend(row - next_row_);
  next_row_ = row;
  drafts.push_back(std::move(draft));
}

/// Sequences of about one length go together.
void Desk::think(std::vector<Thought>& thoughts) {
  std::vector<Thought*> order;
  for (Thought& thought : thoughts) order.push_back(&thought);
  const auto length = [](const Thought* thought) { return thought->question.tokens.size(); };
  std::ranges::stable_sort(order, {}, length);
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first + 1;
    while (last < order.size() && (last + 1 - first) * length(order[last]) <= model_.batch) ++last;
    think(std::span<Thought* const>(order).subspan(first, last - first));
    first = last;
  }
}

void Desk::think(std::span<Thought* const> batch) {
  std::vector<std::vector<std::int32_t>> sequences;
  for (const Thought* thought : batch) sequences.push_back(thought->question.tokens);
  const ops::Tensor logits = model_.logits(sequences);
  const auto size = static_cast<std::size_t>(logits.elements()) / batch.size();
  model_.parallel(batch.size(), [&](std::size_t i) {
    batch[i]->answer = say(logits.values<float>().subspan(i * size, size), *batch[i]);
  });
}

Bytes Desk::say(std::span<float> logits, const Thought& thought) const {
  const Question& question = thought.question;
  const auto columns = static_cast<std::size_t>(model_.vocabulary);
  std::vector<std::int32_t> order;
  Said said;
  for (std::size_t t = 0; t < question.tokens.size(); ++t) {
    const std::span<float> position = logits.subspan(t * columns, columns);
    clip_logits(position, serves_.clip);
    add_noise(position, serves_.noise * serves_.clip, noise_, thought.first_row + t);
    if (!take_top(position, question, order, said)) return {};
  }
  return encode(said, {question.top_k, question.values, model_.vocabulary});
}

void Desk::answer(Draft& draft, const std::vector<Thought>& thoughts) {
  node::Letter letter;
  letter.kind = static_cast<std::uint16_t>(Speech::kAnswer);
  letter.number = draft.number;
  for (std::size_t i = 0; i < draft.parts.size(); ++i) {
    const Bytes& part = draft.thoughts[i] ? thoughts[*draft.thoughts[i]].answer : draft.parts[i];
    if (part.empty())
      return refuse(draft.student, draft.number, "the teacher's model gave no numbers");
    letter.payload.insert(letter.payload.end(), part.begin(), part.end());
  }
  served_.positions += draft.positions;
  served_.cached += draft.cached;
  served_.bytes += letter.payload.size();
  of_jobs_[draft.student >> kStudentNodeBits] += draft.positions;
  reply_(draft.student, std::move(letter));
}

}  // namespace reef::actors
