#pragma once
// Text that comes from outside, before it is believed or echoed.

#include <string>
#include <string_view>

namespace reef {

/// The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629), or text.size().
std::size_t first_bad_utf8(std::string_view text);

/// `text` on one line of at most 80 bytes: control characters become '?', the rest is cut.
std::string printable(std::string_view text);

}  // namespace reef
