#include "runtime/base/utf8.h"

#include <gtest/gtest.h>

namespace reef {
namespace {

TEST(Utf8, FindsTheFirstByteThatIsNone) {
  EXPECT_EQ(first_bad_utf8(""), 0u);
  EXPECT_EQ(first_bad_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x90\x9A"), 10u);
  EXPECT_EQ(first_bad_utf8("ab\xC3"), 2u);
  EXPECT_EQ(first_bad_utf8("ab\xC0\x80"), 2u);
  EXPECT_EQ(first_bad_utf8("\xED\xA0\x80"), 0u);
  EXPECT_EQ(first_bad_utf8(std::string_view("a\0", 2)), 1u);
}

TEST(OneLine, ReplacesWhatATerminalWouldObey) {
  EXPECT_EQ(one_line("a\nb\x1B\x7F"), "a?b??");
  EXPECT_EQ(one_line("\xC2\x85\xC2\x9F\xC2\xA0"), "??\xC2\xA0");
  EXPECT_EQ(one_line("\xFF\xC3\xA9"), "?\xC3\xA9");
  EXPECT_EQ(one_line(std::string(500, 'x')), std::string(500, 'x'));
}

TEST(Printable, CutsBetweenCharacters) {
  EXPECT_EQ(printable("short"), "short");
  EXPECT_EQ(printable(std::string(81, 'x')), std::string(80, 'x') + "...");
  EXPECT_EQ(printable("ab\xC3\xA9", 3), "ab...");
  EXPECT_EQ(printable("ab\xC3\xA9", 4), "ab\xC3\xA9");
}

}  // namespace
}  // namespace reef
