#include "ops/codec/feedback.h"

#include <limits>

#include "values.h"

namespace reef::codec {
namespace {

TEST(Feedback, ComesBackAsItWasSaved) {
  for (const std::size_t size : {0, 1, 1000}) {
    const Feedback feedback{gradient(size), gradient(size / 3, 1)};
    const Result<Feedback> restored = restore(save(feedback), size, size / 3);
    ASSERT_TRUE(restored.ok()) << restored.error().text();
    EXPECT_EQ(*restored, feedback);
  }
}

TEST(Feedback, RefusesOtherSizesEveryTruncationAndDamage) {
  const Bytes saved = save({gradient(7), gradient(3)});
  EXPECT_EQ(restore(saved, 8, 3).error().code, Code::kCheckpoint);
  EXPECT_EQ(restore(saved, 7, 2).error().code, Code::kCheckpoint);
  for (std::size_t size = 0; size < saved.size(); ++size) {
    EXPECT_FALSE(restore(BytesView(saved).first(size), 7, 3).ok()) << size;
  }
  Bytes longer = saved;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(restore(longer, 7, 3).ok());
  for (std::size_t at = 0; at < 24; ++at) {
    Bytes damaged = saved;
    damaged[at] ^= std::byte{0x40};
    EXPECT_FALSE(restore(damaged, 7, 3).ok()) << at;
  }
}

TEST(Feedback, RefusesWhatIsNotFinite) {
  using Limits = std::numeric_limits<float>;
  for (const float bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
    Feedback feedback{gradient(7), gradient(3)};
    feedback.residual[6] = bad;
    EXPECT_FALSE(restore(save(feedback), 7, 3).ok());
    feedback = {gradient(7), gradient(3)};
    feedback.warm[2] = bad;
    EXPECT_FALSE(restore(save(feedback), 7, 3).ok());
  }
}

}  // namespace
}  // namespace reef::codec
