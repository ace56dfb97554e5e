#pragma once
// Where a text may be cut into what is trained on and what is held out. Private to
// actors/data/format.

#include <cstdint>
#include <string_view>
#include <vector>

namespace reef::data {

struct Chapter {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::uint64_t key = 0;  ///< decides its side; equal for equal text

  std::size_t size() const { return end - begin; }
};

/// Cuts the whole text before each line "# ...", or before each block after a blank line if it has
/// no such line. The chapters cover the text without gaps; a text of nothing but white space has
/// none.
std::vector<Chapter> find_chapters(std::string_view text, std::uint64_t seed);

/// A key and the bytes that have it.
struct KeyedSize {
  std::uint64_t key = 0;
  std::uint64_t bytes = 0;
};

/// The held-out chapters are those with a key up to the returned limit: the smallest keys until
/// `fraction` of the bytes is reached, at least one and never all. Nothing is promised for fewer
/// than two distinct keys; `distinct` says how many there were.
struct HoldOut {
  std::uint64_t limit = 0;
  std::size_t distinct = 0;
};
HoldOut choose_held_out(std::vector<KeyedSize> chapters, double fraction);

}  // namespace reef::data
