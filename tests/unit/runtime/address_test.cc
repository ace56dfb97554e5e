#include <gtest/gtest.h>

#include "runtime/app/commands/address.h"

namespace reef::app {
namespace {

TEST(ParseAddress, TakesHostAndPort) {
  const auto address = parse_address("10.0.0.1:7070", "--listen");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->first, "10.0.0.1");
  EXPECT_EQ(address->second, 7070);
  EXPECT_EQ(parse_address("[::1]:80", "--listen")->first, "[::1]");
}

TEST(ParseAddress, RefusesEverythingElseNamingTheOption) {
  for (const char* text :
       {"", ":", "host", "host:", "host:x", "host:99999", "host:-1", "host:80x", ":80"}) {
    const auto address = parse_address(text, "--listen");
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.error().code, Code::kUsage);
    EXPECT_EQ(address.error().where, "--listen");
  }
}

TEST(ParseError, ReadsBackWhatAnotherProcessPrinted) {
  const Error error{Code::kAddressInUse, "127.0.0.1:80", "another process listens here"};
  EXPECT_EQ(parse_error(error.text()).code, error.code);
  EXPECT_EQ(parse_error(error.text()).text(), error.text());
  EXPECT_EQ(parse_error("Segmentation fault").code, Code::kInternal);
  EXPECT_EQ(parse_error("").code, Code::kInternal);
}

}  // namespace
}  // namespace reef::app
