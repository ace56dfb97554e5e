#include "runtime/base/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace reef {
namespace {

using Words = std::array<std::uint32_t, 4>;

TEST(Philox, GivesTheAuthorsVectors) {
  // Random123's kat_vectors, philox4x32 10.
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, DependsOnSeedPurposeAndPositionOnly) {
  const Random random(1, "data");
  EXPECT_EQ(random.bits(3, 4), Random(1, "data").bits(3, 4));
  EXPECT_NE(random.bits(3, 4), random.bits(4, 3));
  EXPECT_NE(random.bits(3, 4), Random(2, "data").bits(3, 4));
  EXPECT_NE(random.bits(3, 4), Random(1, "init").bits(3, 4));
}

TEST(Random, HasTheMomentsItPromises) {
  const Random random(7, "moments");
  constexpr int kDraws = 20000;
  double uniform = 0, normal = 0, square = 0;
  for (int i = 0; i < kDraws; ++i) {
    const float u = random.uniform(0, i);
    ASSERT_TRUE(u >= 0 && u < 1);
    ASSERT_LT(random.below(10, 2, i), 10u);
    const double n = random.normal(1, i);
    uniform += u, normal += n, square += n * n;
  }
  // Five standard errors.
  EXPECT_NEAR(uniform / kDraws, 0.5, 5 * 0.2887 / std::sqrt(kDraws));
  EXPECT_NEAR(normal / kDraws, 0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(square / kDraws, 1, 5 * std::sqrt(2.0 / kDraws));
}

TEST(StableHash, IsFnv1a) {
  EXPECT_EQ(stable_hash(""), 0xcbf29ce484222325u);
  EXPECT_EQ(stable_hash("a"), 0xaf63dc4c8601ec8cu);
}

}  // namespace
}  // namespace reef
