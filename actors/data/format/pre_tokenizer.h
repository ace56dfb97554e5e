#pragma once
// Where a byte-level tokenizer cuts a text before it looks for pairs: GPT-2's pattern,
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// as a walk that looks at most one character beyond a piece. A regular expression with backtracking
// would need time that grows with the square of a hostile text.

#include <cstddef>
#include <string_view>

namespace reef::data {

/// Bytes of the piece at the front of `text`, at least one. Precondition: `text` is not empty.
/// Cutting a text gives the same pieces as long as it is cut from its beginning.
std::size_t first_piece(std::string_view text);

/// Calls visit(piece) for each.
template <typename Visit>
void for_each_piece(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const std::size_t size = first_piece(text);
    visit(text.substr(0, size));
    text.remove_prefix(size);
  }
}

}  // namespace reef::data
