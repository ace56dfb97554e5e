#include "runtime/base/firing.h"

#include <gtest/gtest.h>

namespace reef {
namespace {

TEST(Firing, SharesATokenOverAGroup) {
  const Port port{0, 4};
  for (std::uint64_t firing = 0; firing < 12; ++firing) {
    EXPECT_EQ(takes_token(port, firing), firing % 4 == 0);
    EXPECT_EQ(returns_slot(port, firing), firing % 4 == 3);
    EXPECT_EQ(makes_token(port, firing), firing % 4 == 3);
  }
}

TEST(Firing, NeedsTokensAndFreeSlotsOnlyWhenItsGroupDoes) {
  EdgeState in{1, 0}, out{0, 0};
  const auto state = [&](std::uint32_t edge) { return edge == 0 ? in : out; };
  const std::vector<Port> inputs{{0, 2}}, outputs{{1, 2}};
  EXPECT_TRUE(may_fire(inputs, outputs, 0, state));  // takes the token, makes nothing yet
  in.readable = 0;
  EXPECT_FALSE(may_fire(inputs, outputs, 0, state));
  EXPECT_FALSE(
      may_fire(inputs, outputs, 1, state));  // holds its token, but cannot give the result away
  out.free = 1;
  EXPECT_TRUE(may_fire(inputs, outputs, 1, state));
  EXPECT_TRUE(may_fire({}, {}, 0, state));
}

}  // namespace
}  // namespace reef
