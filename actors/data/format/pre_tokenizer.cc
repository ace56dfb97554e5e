#include "actors/data/format/pre_tokenizer.h"

#include "actors/data/format/unicode_classes.h"

namespace reef::data {
namespace {

/// Bytes of the English ending that `text`, which begins with an apostrophe, has there; 0: none.
std::size_t ending(std::string_view text) {
  for (const std::string_view known : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(known)) return known.size();
  }
  return 0;
}

/// Bytes of the characters of one class from `at` on.
std::size_t run(std::string_view text, std::size_t at, CharClass kind) {
  const std::size_t begin = at;
  while (at < text.size()) {
    const Character next = first_character(text.substr(at));
    if (next.kind != kind) break;
    at += next.bytes;
  }
  return at - begin;
}

/// White space up to the end of the text is one piece; what stands before another character leaves
/// its last one to it.
std::size_t space(std::string_view text) {
  std::size_t end = 0, last = 0;
  while (end < text.size()) {
    const Character next = first_character(text.substr(end));
    if (next.kind != CharClass::kSpace) return last > 0 ? last : end;
    last = end;
    end += next.bytes;
  }
  return end;
}

}  // namespace

std::size_t first_piece(std::string_view text) {
  if (text.front() == '\'') {
    if (const std::size_t bytes = ending(text); bytes > 0) return bytes;
  }
  const Character first = first_character(text);
  if (first.kind != CharClass::kSpace) return run(text, 0, first.kind);
  // A single space goes with the word behind it.
  if (text.front() == ' ' && text.size() > 1) {
    const CharClass kind = first_character(text.substr(1)).kind;
    if (kind != CharClass::kSpace) return 1 + run(text, 1, kind);
  }
  return space(text);
}

}  // namespace reef::data
