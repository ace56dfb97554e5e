#include "runtime/register/register.h"

#include <gtest/gtest.h>

namespace reef {
namespace {

TEST(Register, KeepsTokensInARing) {
  Register ring("edge", 2, 64);
  ring.slot(0).micro = 10;
  ring.slot(1).micro = 11;
  EXPECT_EQ(ring.slot(0).micro, 10u);
  ring.clear(0);
  ring.slot(2).micro = 12;
  EXPECT_EQ(&ring.slot(2), &ring.slot(0));
  EXPECT_EQ(ring.slot(1).micro, 11u);
}

TEST(Register, GivesStorageBackWhenCleared) {
  ops::Pool pool;
  Register ring("edge", 1, 64);
  ring.slot(0).tensors = {ops::Tensor::zeros(pool, ops::DType::kF32, {4})};
  const auto in_use = pool.statistics().bytes_in_use;
  ring.clear(0);
  EXPECT_LT(pool.statistics().bytes_in_use, in_use);
}

TEST(Register, RefusesATokenOverItsCapacity) {
  ops::Pool pool;
  const Register ring("edge", 1, 64);
  Token token;
  token.tensors = {ops::Tensor::zeros(pool, ops::DType::kF32, {16})};
  EXPECT_TRUE(ring.check_fits(token).ok());
  token.tensors.push_back(ops::Tensor::zeros(pool, ops::DType::kU8, {1}));
  const Status status = ring.check_fits(token);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().text(), "E_TENSOR: edge: a token of 65 bytes in slots of 64");
}

}  // namespace
}  // namespace reef
