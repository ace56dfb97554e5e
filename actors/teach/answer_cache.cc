#include "actors/teach/answer_cache.h"

#include <algorithm>
#include <string_view>

namespace reef::actors {

std::size_t hash_of(const Question& question) {
  const std::string_view tokens(reinterpret_cast<const char*>(question.tokens.data()),
                                question.tokens.size() * sizeof(std::int32_t));
  return std::hash<std::string_view>()(tokens);
}

std::size_t AnswerCache::cost_of(const Entry& entry) {
  constexpr std::size_t kOwn = 256;  // of list and map
  return kOwn + entry.answer.size() + entry.question.tokens.size() * sizeof(std::int32_t);
}

const Bytes* AnswerCache::find(const Question& question) {
  const auto [first, last] = places_.equal_range(hash_of(question));
  for (auto place = first; place != last; ++place) {
    if (place->second->question != question) continue;
    entries_.splice(entries_.begin(), entries_, place->second);
    return &entries_.front().answer;
  }
  return nullptr;
}

void AnswerCache::put(Question question, Bytes answer) {
  if (find(question) != nullptr) return;
  Entry entry{std::move(question), std::move(answer)};
  const std::size_t cost = cost_of(entry);
  if (cost > limit_) return;
  while (bytes_ + cost > limit_) {
    const auto oldest = std::prev(entries_.end());
    const auto [first, last] = places_.equal_range(hash_of(oldest->question));
    places_.erase(std::find_if(first, last, [&](const auto& one) { return one.second == oldest; }));
    bytes_ -= cost_of(*oldest);
    entries_.erase(oldest);
  }
  bytes_ += cost;
  entries_.push_front(std::move(entry));
  places_.emplace(hash_of(entries_.front().question), entries_.begin());
}

}  // namespace reef::actors
