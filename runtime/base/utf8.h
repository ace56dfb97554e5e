#pragma once
// Text that comes from outside, before it is believed or echoed.

#include <string>
#include <string_view>

namespace reef {

/// The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629), or text.size().
std::size_t first_bad_utf8(std::string_view text);

/// `text` on one line that a terminal may show: each control character, and each byte that is not
/// UTF-8, becomes '?'.
std::string one_line(std::string_view text);

/// The same of at most `limit` bytes, for quoting what may be of any length: the rest is cut, and
/// "..." says so.
std::string printable(std::string_view text, std::size_t limit = 80);

}  // namespace reef
