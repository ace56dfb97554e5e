#include "runtime/link/tcp/gate.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <vector>

namespace reef::link::tcp {
namespace {

using namespace std::chrono_literals;

sockaddr_storage address(const char* text) {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    storage.ss_family = AF_INET;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text, &v6.sin6_addr), 1) << text;
    storage.ss_family = AF_INET6;
  }
  return storage;
}

class GateTest : public testing::Test {
 protected:
  Gate::Pass enter(const char* from) {
    const sockaddr_storage storage = address(from);
    return gate_.enter(reinterpret_cast<const sockaddr&>(storage), now_);
  }
  GateLimits limits_{
      .per_second = 2, .burst = 3, .half_open = 2, .half_open_all = 4, .addresses = 3};
  Gate gate_{limits_};
  Time now_{1h};
};

TEST_F(GateTest, BoundsWhatIsHalfOpenFromOneAddress) {
  Gate::Pass first = enter("10.0.0.1"), second = enter("10.0.0.1");
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(enter("10.0.0.1"));
  EXPECT_EQ(gate_.half_open(), 2u);
  EXPECT_TRUE(enter("10.0.0.2")) << "another address has its own share";
  first.reset();
  EXPECT_TRUE(enter("10.0.0.1"));
  EXPECT_EQ(gate_.refused(), 1u);
}

TEST_F(GateTest, BoundsTheRateOfOneAddress) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(enter("10.0.0.1")) << "the burst, each let go at once";
  EXPECT_FALSE(enter("10.0.0.1"));
  now_ += 400ms;
  EXPECT_FALSE(enter("10.0.0.1"));
  now_ += 100ms;
  EXPECT_TRUE(enter("10.0.0.1"));
  EXPECT_FALSE(enter("10.0.0.1"));
  now_ += 1h;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(enter("10.0.0.1"));
  EXPECT_FALSE(enter("10.0.0.1"));
}

TEST_F(GateTest, BoundsAllTogether) {
  std::vector<Gate::Pass> held;
  for (const char* from : {"10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2"})
    held.push_back(enter(from));
  EXPECT_FALSE(enter("10.0.0.3"));
  held.pop_back();
  EXPECT_TRUE(enter("10.0.0.3"));
}

TEST_F(GateTest, RemembersAsManyAddressesAsItMay) {
  for (const char* from : {"10.0.0.1", "10.0.0.2", "10.0.0.3"}) EXPECT_TRUE(enter(from));
  EXPECT_FALSE(enter("10.0.0.4"));
  now_ += 1s;  // the first three owe nothing any more
  EXPECT_TRUE(enter("10.0.0.4"));
}

TEST_F(GateTest, TakesAnOwnersSixtyFourBitsForOne) {
  const Gate::Pass first = enter("2001:db8::1"), second = enter("2001:db8::ffff:2");
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(enter("2001:db8::3"));
  EXPECT_TRUE(enter("2001:db8:0:1::1"));
  const Gate::Pass third = enter("10.0.0.1"), fourth = enter("::ffff:10.0.0.1");
  EXPECT_TRUE(third && fourth);
  EXPECT_FALSE(enter("10.0.0.1"));
}

}  // namespace
}  // namespace reef::link::tcp
