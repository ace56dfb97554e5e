#include "scheduler/service/homes.h"

#include <gtest/gtest.h>

namespace reef::service {
namespace {

using Places = std::vector<job::Home>;

TEST(Homes, MoveToWhoeverHasFewestAndStayThere) {
  Homes homes(4);
  EXPECT_EQ(homes.places(), (Places{{0, 0}, {1, 0}, {2, 0}, {3, 0}}));
  homes.lose(1, {0, 2, 3});
  EXPECT_EQ(homes.places(), (Places{{0, 0}, {0, 1}, {2, 0}, {3, 0}}));
  // The first has two by now; whoever came back has none. The first of equals gets the second.
  homes.lose(0, {1, 2, 3});
  EXPECT_EQ(homes.places(), (Places{{1, 2}, {1, 3}, {2, 0}, {3, 0}}));
}

TEST(Homes, StayWhereNobodyIsLeft) {
  Homes homes(2);
  homes.lose(1, {});
  EXPECT_EQ(homes.places(), (Places{{0, 0}, {1, 0}}));
}

}  // namespace
}  // namespace reef::service
