#include "runtime/base/utf8.h"

#include <algorithm>
#include <cstdint>

namespace reef {
namespace {

/// Nearly all of every text, so the rest of this file is spared it.
std::size_t plain_run(std::string_view text) {
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7F; };
  return static_cast<std::size_t>(std::ranges::find_if_not(text, plain) - text.begin());
}

/// Length of the well-formed sequence at the start of `text`, or 0.
std::size_t sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto follows = [&](std::size_t i, std::uint8_t low = 0x80, std::uint8_t high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return first == 0 ? 0 : 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool second = first == 0xE0   ? follows(1, 0xA0)
                        : first == 0xED ? follows(1, 0x80, 0x9F)
                                        : follows(1);
    return second && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool second = first == 0xF0   ? follows(1, 0x90)
                        : first == 0xF4 ? follows(1, 0x80, 0x8F)
                                        : follows(1);
    return second && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

/// Takes one character off the front of `text`, or one byte that is none; returns what to show.
std::string_view take_shown(std::string_view& text) {
  const std::size_t length = sequence(text);
  const std::string_view character = text.substr(0, length);
  text.remove_prefix(length == 0 ? 1 : length);
  const bool below_space = length == 1 && (character[0] < 0x20 || character[0] == 0x7F);
  // U+0080 to U+009F: terminals that know them take U+009B for the start of a command.
  const bool second_set = length == 2 && character < "\xC2\xA0";
  return length == 0 || below_space || second_set ? std::string_view("?") : character;
}

}  // namespace

std::size_t first_bad_utf8(std::string_view text) {
  std::size_t at = plain_run(text);
  while (at < text.size()) {
    const std::size_t length = sequence(text.substr(at));
    if (length == 0) return at;
    at += length;
    at += plain_run(text.substr(at));
  }
  return at;
}

std::string one_line(std::string_view text) { return printable(text, std::string::npos); }

std::string printable(std::string_view text, std::size_t limit) {
  std::string line;
  while (!text.empty()) {
    const std::size_t run = plain_run(text);
    if (run > limit - line.size()) return line.append(text, 0, limit - line.size()) + "...";
    line.append(text, 0, run);
    text.remove_prefix(run);
    if (text.empty()) break;
    const std::string_view piece = take_shown(text);
    if (line.size() + piece.size() > limit) return line + "...";
    line += piece;
  }
  return line;
}

}  // namespace reef
