#include "runtime/base/error.h"

#include <gtest/gtest.h>

#include <memory>

namespace reef {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return Error{Code::kJobValue, "x", "odd"};
  return value / 2;
}
Result<int> quarter(int value) {
  ATOLL_ASSIGN(const int once, half(value));
  return half(once);
}
Status check(int value) {
  ATOLL_TRY(half(value));
  return {};
}

TEST(Result, PassesValuesAndErrorsOn) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error(), (Error{Code::kJobValue, "x", "odd"}));
  EXPECT_TRUE(check(2).ok());
  EXPECT_EQ(check(3).error().text(), "E_JOB_VALUE: x: odd");
  Result<std::unique_ptr<int>> owned = std::make_unique<int>(3);
  EXPECT_EQ(*std::move(owned).value(), 3);
}

TEST(ResultDeathTest, AskingTheWrongOneEndsTheProcess) {
  EXPECT_DEATH((void)half(1).value(), "E_JOB_VALUE: x: odd");
}

TEST(Error, IsOneLineWhateverItQuotes) {
  const Error error{Code::kProto, "peer\n\x1B[2J", "it says '\x7F\xC2\x9B\xFF\r\t\xC3\xA9'"};
  EXPECT_EQ(error.text(), "E_PROTO: peer??[2J: it says '?????\xC3\xA9'");
}

TEST(ExitStatus, TellsInputFromFailureFromRefusal) {
  EXPECT_EQ(exit_status(Code::kUsage), 2);
  EXPECT_EQ(exit_status(Code::kAddressInUse), 2);
  EXPECT_EQ(exit_status(Code::kPeerLost), 1);
  EXPECT_EQ(exit_status(Code::kRefused), 4);
}

}  // namespace
}  // namespace reef
