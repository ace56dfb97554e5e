#pragma once
// Small helpers for messages to people.

#include <string>
#include <string_view>
#include <vector>

namespace reef {

/// The candidate nearest to `word` by edit distance, or empty when none is near enough to be a typo
/// (distance over a third of the longer word, at least 2).
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b, c".
std::string join(const std::vector<std::string>& parts, std::string_view separator = ", ");

/// Lower-case hexadecimal of raw bytes.
std::string hex(std::string_view raw);

}  // namespace reef
