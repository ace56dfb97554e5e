#include "runtime/app/bench/bench.h"

#include <gtest/gtest.h>

namespace reef::app {
namespace {

TEST(Row, HoldsTheRatioToTheTarget) {
  Row row{.name = "x", .ours = 2, .theirs = 4, .target = 0.5};
  EXPECT_TRUE(row.holds());
  EXPECT_EQ(row.json(),
            R"({"row":"x","ours":2.0,"theirs":4.0,"ratio":0.5,"target":0.5,"holds":true})");
  row.target = 0.4;
  EXPECT_FALSE(row.holds());
  row.at_least = true;
  EXPECT_TRUE(row.holds());
}

TEST(Row, HoldsAFigureAloneToTheTarget) {
  const Row row{.name = "dispatch-ns", .ours = 250.06, .theirs = {}, .target = 200};
  EXPECT_FALSE(row.holds());
  EXPECT_EQ(row.json(), R"({"row":"dispatch-ns","ours":250.1,"theirs":null,"ratio":null,)"
                        R"("target":200.0,"holds":false})");
  EXPECT_EQ(row.text(), "dispatch-ns: 250.1, target at most 200: does not hold");
}

TEST(MedianTime, CallsAsOftenAsItSays) {
  int calls = 0;
  median_time(3, 5, [&calls] { ++calls; });
  EXPECT_EQ(calls, 15);
  EXPECT_EQ(median({3, 1, 2}), 2);
}

}  // namespace
}  // namespace reef::app
