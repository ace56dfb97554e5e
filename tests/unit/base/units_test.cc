#include "runtime/base/units.h"

#include <gtest/gtest.h>

namespace reef {
namespace {

using namespace std::chrono_literals;

TEST(Units, ReadWhatPeopleWrite) {
  EXPECT_EQ(parse_duration("250ms").value(), 250ms);
  EXPECT_EQ(parse_duration("1.5s").value(), 1500ms);
  EXPECT_EQ(parse_duration("5min").value(), 300s);
  EXPECT_EQ(parse_size("64KiB").value(), 65536u);
  EXPECT_EQ(parse_size("10MB").value(), 10'000'000u);
  EXPECT_EQ(parse_rate("50Mbit/s").value(), 50e6);
  EXPECT_EQ(parse_speed("40GFLOP/s").value(), 40e9);
  EXPECT_EQ(parse_bandwidth("2.5GB/s").value(), 2.5e9);
}

TEST(Units, RefuseWhatIsNoQuantity) {
  for (const char* text :
       {"", "5", "s", "-5s", "nans", "infs", "5 s", "5sec", "1e999s", "1e30h", "5s "}) {
    const auto duration = parse_duration(text);
    ASSERT_FALSE(duration.ok()) << text;
    EXPECT_EQ(duration.error().code, Code::kJobValue);
  }
  EXPECT_FALSE(parse_size("64Kib").ok());
  EXPECT_FALSE(parse_size("16777216TiB").ok());
  EXPECT_FALSE(parse_rate("50MB/s").ok());
  EXPECT_FALSE(parse_speed("40GB/s").ok());
  EXPECT_FALSE(parse_bandwidth("40Gbit/s").ok());
}

TEST(Units, ArePrintedForPeople) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
  EXPECT_EQ(format_size(std::uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(format_rate(48.23e6), "48.2Mbit/s");
  EXPECT_EQ(format_rate(999.7e6), "1.00Gbit/s");
  EXPECT_EQ(format_rate(123456), "123kbit/s");
  EXPECT_EQ(format_rate(1), "1.00bit/s");
  EXPECT_EQ(parse_rate(format_rate(7.5e9)).value(), 7.5e9);
  EXPECT_EQ(format_speed(40e9), "40.0GFLOP/s");
  EXPECT_EQ(parse_speed(format_speed(1.25e15)).value(), 1.25e15);
  EXPECT_EQ(format_bandwidth(20.04e9), "20.0GB/s");
  EXPECT_EQ(format_duration(std::chrono::microseconds(170)), "0.17ms");
  EXPECT_EQ(format_duration(12'400ms), "12.4s");
  EXPECT_EQ(format_duration(185s), "3m05s");
  EXPECT_EQ(format_duration(3720s), "1h02m");
}

}  // namespace
}  // namespace reef
