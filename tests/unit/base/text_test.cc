#include "runtime/base/text.h"

#include <gtest/gtest.h>

namespace reef {
namespace {

TEST(Nearest, FindsTyposOnly) {
  const std::vector<std::string> known{"replicas", "stages", "steps"};
  EXPECT_EQ(nearest("replica", known), "replicas");
  EXPECT_EQ(nearest("step", known), "steps");
  EXPECT_EQ(nearest("temperature", known), "");
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(Join, PutsSeparatorsBetween) {
  EXPECT_EQ(join({}), "");
  EXPECT_EQ(join({"a"}), "a");
  EXPECT_EQ(join({"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(join({"a", "b"}, "/"), "a/b");
}

TEST(Hex, IsLowerCase) {
  EXPECT_EQ(hex(""), "");
  EXPECT_EQ(hex(std::string_view("\x00\xff\x1a", 3)), "00ff1a");
}

}  // namespace
}  // namespace reef
