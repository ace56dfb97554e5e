#include "actors/data/format/chapters.h"

#include <algorithm>

#include "runtime/base/random.h"

namespace reef::data {
namespace {

constexpr std::string_view kSpace = " \t\r\n\f\v";

bool is_blank(std::string_view line) { return line.find_first_not_of(kSpace) == line.npos; }
bool is_heading(std::string_view line) { return line.starts_with("# "); }

/// Calls `visit(begin, line)` for each line, its end of line included.
template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t newline = text.find('\n', begin);
    const std::size_t end = newline == text.npos ? text.size() : newline + 1;
    visit(begin, text.substr(begin, end - begin));
    begin = end;
  }
}

std::vector<std::size_t> heading_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  for_each_line(text, [&starts](std::size_t begin, std::string_view line) {
    if (is_heading(line)) starts.push_back(begin);
  });
  return starts;
}

std::vector<std::size_t> block_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  bool after_blank = true;
  for_each_line(text, [&](std::size_t begin, std::string_view line) {
    const bool blank = is_blank(line);
    if (!blank && after_blank) starts.push_back(begin);
    after_blank = blank;
  });
  return starts;
}

}  // namespace

std::vector<Chapter> find_chapters(std::string_view text, std::uint64_t seed) {
  if (is_blank(text)) return {};
  std::vector<std::size_t> starts = heading_starts(text);
  if (starts.empty()) {
    starts = block_starts(text);
    starts.front() = 0;  // blank lines before the first block belong to it
  } else if (starts.front() != 0) {
    starts.insert(starts.begin(), 0);  // what stands before the first heading
  }
  const Random random(seed, "data/split");
  std::vector<Chapter> chapters;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::size_t end = i + 1 < starts.size() ? starts[i + 1] : text.size();
    std::string_view body = text.substr(starts[i], end - starts[i]);
    // Blank lines around a chapter depend on its neighbours; they must not tell two copies apart.
    body.remove_suffix(body.size() - std::min(body.size(), body.find_last_not_of(kSpace) + 1));
    body.remove_prefix(std::min(body.size(), body.find_first_not_of(kSpace)));
    chapters.push_back({starts[i], end, random.below(UINT64_MAX, stable_hash(body), 0)});
  }
  return chapters;
}

HoldOut choose_held_out(std::vector<KeyedSize> chapters, double fraction) {
  std::sort(chapters.begin(), chapters.end(),
            [](const KeyedSize& a, const KeyedSize& b) { return a.key < b.key; });
  std::vector<KeyedSize> distinct;
  std::uint64_t total = 0;
  for (const KeyedSize& chapter : chapters) {
    total += chapter.bytes;
    if (!distinct.empty() && distinct.back().key == chapter.key) {
      distinct.back().bytes += chapter.bytes;
    } else {
      distinct.push_back(chapter);
    }
  }
  HoldOut result{.limit = 0, .distinct = distinct.size()};
  std::uint64_t held_out = 0;
  for (std::size_t i = 0; i + 1 < distinct.size(); ++i) {
    result.limit = distinct[i].key;
    held_out += distinct[i].bytes;
    if (double(held_out) >= fraction * double(total)) break;
  }
  return result;
}

}  // namespace reef::data
