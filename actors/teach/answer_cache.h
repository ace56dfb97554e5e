#pragma once
// Answers that were given, for whoever asks the same again: it costs no forward pass, and nothing
// of what privacy allows, since it is the same answer.

#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "actors/teach/speech.h"

namespace reef::actors {

/// What makes two questions the same.
struct Question {
  float temperature = 1;
  std::uint32_t top_k = 16;
  job::SaidAs values = job::SaidAs::kInt8;
  std::vector<std::int32_t> tokens;
  bool operator==(const Question&) const = default;
};

/// Of its tokens. A peer could find questions that collide: those are held against each other in
/// full.
std::size_t hash_of(const Question& question);

/// Thread: one. Memory: `limit` bytes; what was asked longest ago goes first.
class AnswerCache {
 public:
  explicit AnswerCache(std::size_t limit) : limit_(limit) {}

  /// Null: none. Good until the next put().
  const Bytes* find(const Question& question);
  /// Keeps it, if it is not larger than all there may be.
  void put(Question question, Bytes answer);
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    Question question;
    Bytes answer;
  };
  using Entries = std::list<Entry>;
  static std::size_t cost_of(const Entry& entry);

  std::size_t limit_;
  std::size_t bytes_ = 0;
  Entries entries_;  ///< the latest first
  std::unordered_multimap<std::size_t, Entries::iterator> places_;
};

}  // namespace reef::actors
