#include "actors/teach/sides.h"

#include "runtime/base/check.h"

namespace reef::actors {
namespace {

/// Tokens [first, last) whose targets all count, or of which none does.
struct Run {
  std::size_t first = 0, last = 0;
  bool counts = false;
};

std::vector<Run> runs_of(std::span<const std::int32_t> targets) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const bool counts = targets[i] >= 0;
    if (runs.empty() || runs.back().counts != counts) runs.push_back({i, i, counts});
    runs.back().last = i + 1;
  }
  return runs;
}

Passage target_of(std::span<const std::int32_t> tokens, const Run& run, std::size_t base) {
  Passage passage;
  for (std::size_t i = run.first; i < run.last; ++i) {
    passage.tokens.push_back(tokens[i]);
    passage.places.emplace_back(base + i);
  }
  return passage;
}

/// The line before a translation, behind what closed the pair before it. Its last token is left
/// out: what follows there is the separator, of which a teacher of one language knows nothing.
Passage source_of(std::span<const std::int32_t> tokens, const Run& run, std::int32_t separator,
                  std::int32_t end, std::size_t base) {
  Passage passage;
  std::size_t first = run.first;
  while (first < run.last && tokens[first] == end) ++first;
  if (first + 1 >= run.last) return passage;
  passage.tokens.push_back(separator);
  passage.places.emplace_back();
  for (std::size_t i = first; i + 1 < run.last; ++i) {
    passage.tokens.push_back(tokens[i]);
    passage.places.emplace_back(base + i);
  }
  return passage;
}

}  // namespace

std::vector<Passage> passages_of(std::span<const std::int32_t> tokens,
                                 std::span<const std::int32_t> targets, std::size_t window,
                                 job::Teacher::Side side) {
  CHECK(tokens.size() == targets.size() && tokens.size() % window == 0);
  std::vector<Passage> passages;
  for (std::size_t base = 0; base < tokens.size(); base += window) {
    const auto own = tokens.subspan(base, window);
    const auto theirs = targets.subspan(base, window);
    const std::vector<Run> runs = runs_of(theirs);
    for (std::size_t r = 0; r < runs.size(); ++r) {
      if (!runs[r].counts) continue;
      if (side == job::Teacher::Side::kTarget) {
        passages.push_back(target_of(own, runs[r], base));
      } else if (r > 0) {
        Passage passage =
            source_of(own, runs[r - 1], own[runs[r].first], theirs[runs[r].last - 1], base);
        if (!passage.tokens.empty()) passages.push_back(std::move(passage));
      }
    }
  }
  return passages;
}

}  // namespace reef::actors
