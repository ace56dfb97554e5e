#include "tests/cluster/wan/settings.h"

#include <gtest/gtest.h>

namespace reef::wan {
namespace {

using namespace std::chrono_literals;

LineSettings with(std::initializer_list<std::pair<const char*, const char*>> words) {
  LineSettings settings;
  for (const auto& [name, value] : words) {
    const Status status = apply(settings, name, value);
    EXPECT_TRUE(status.ok()) << name << " " << value;
  }
  return settings;
}

TEST(LineSettings, AreSaidAsPeopleSayThem) {
  for (const char* rate : {"50mbit", "50Mbit/s", "50mbit/s", "50000kbit", "0.05gbit"}) {
    EXPECT_DOUBLE_EQ(with({{"rate", rate}}).rate, 50e6) << rate;
  }
  EXPECT_EQ(with({{"delay", "50ms"}}).delay, 50ms);
  EXPECT_EQ(with({{"jitter", "500us"}}).jitter, 500us);
  EXPECT_DOUBLE_EQ(with({{"loss", "0.1%"}}).loss, 0.001);
  EXPECT_DOUBLE_EQ(with({{"loss", "0.001"}}).loss, 0.001);
  EXPECT_TRUE(with({{"reorder", "on"}}).reorder);
  EXPECT_FALSE(with({{"reorder", "on"}, {"reorder", "off"}}).reorder);
  EXPECT_EQ(with({{"queue", "625kB"}}).queue, 625'000u);
  EXPECT_EQ(with({{"overhead", "38B"}}).overhead, 38u);
}

TEST(LineSettings, WhatCannotBeIsRefusedAndChangesNothing) {
  const std::pair<const char*, const char*> bad[] = {
      {"rate", "50"},      {"rate", "0mbit"},   {"rate", "-1mbit"}, {"rate", "20gbit"},
      {"rate", "50mbyte"}, {"rate", ""},        {"rate", "/s"},     {"delay", "50"},
      {"delay", "11s"},    {"delay", "-1ms"},   {"loss", "101%"},   {"loss", "-0.1"},
      {"loss", "nan"},     {"loss", "0.1%%"},   {"loss", ""},       {"loss", "%"},
      {"reorder", "yes"},  {"queue", "625"},    {"queue", "1TiB"},  {"overhead", "2kB"},
      {"latency", "5ms"},  {"jitter", "1e99s"}, {"", "x"}};
  for (const auto& [name, value] : bad) {
    LineSettings settings = with({{"rate", "1mbit"}, {"loss", "1%"}});
    const LineSettings before = settings;
    const Status status = apply(settings, name, value);
    ASSERT_FALSE(status.ok()) << name << " " << value;
    EXPECT_EQ(status.error().code, Code::kUsage);
    EXPECT_EQ(settings, before);
  }
}

TEST(LineSettings, AMisspeltNameIsNamedWithTheNearest) {
  LineSettings settings;
  EXPECT_NE(apply(settings, "los", "1%").error().what.find("did you mean loss?"),
            std::string::npos);
}

TEST(LineSettings, TheQueueIsOneBandwidthDelayProduct) {
  EXPECT_EQ(with({{"rate", "50mbit"}, {"delay", "50ms"}}).queue_bytes(), 625'000u);
  EXPECT_EQ(with({{"rate", "50mbit"}}).queue_bytes(), kLeastQueue);
  EXPECT_EQ(with({{"rate", "50mbit"}, {"delay", "50ms"}, {"queue", "0B"}}).queue_bytes(), 0u);
}

TEST(LineSettings, ALineNeedsARateAndMemory) {
  EXPECT_FALSE(check(LineSettings{}).ok());
  EXPECT_TRUE(check(with({{"rate", "1gbit"}, {"delay", "100ms"}})).ok());
  EXPECT_FALSE(check(with({{"rate", "10gbit"}, {"delay", "1s"}})).ok());
  EXPECT_FALSE(check(with({{"rate", "1mbit"}, {"queue", "200MiB"}})).ok());
  EXPECT_FALSE(check(with({{"rate", "1mbit"}, {"delay", "1ms"}, {"jitter", "2ms"}})).ok());
}

}  // namespace
}  // namespace reef::wan
