// The promises of runtime/link/link.h, held against every implementation.

#include "tests/conformance/rig.h"

namespace reef::link {
namespace {

class LinkConformance : public testing::TestWithParam<std::string> {
 protected:
  bool sealed() const { return GetParam().starts_with("secure_"); }
  Seen left, right;  // outlive the links that write into them
  Rig rig{GetParam()};
};

TEST_P(LinkConformance, CarriesEverySizeInOrder) {
  rig.start(*rig.a, left);
  rig.start(*rig.b, right);
  std::vector<std::size_t> sizes;
  for (std::size_t size = 1; size <= 1100; ++size) sizes.push_back(size);
  for (std::size_t size = 1200; size < rig.a->max_frame(); size += 127) sizes.push_back(size);
  for (std::size_t k = 3; k > 0; --k) sizes.push_back(rig.a->max_frame() + 1 - k);
  for (std::size_t size : sizes) rig.a->send(pattern(size, size), kNoDeadline, rig.done(left));
  ASSERT_TRUE(rig.wait(
      [&] { return right.frames.size() == sizes.size() && left.done.size() == sizes.size(); }));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    ASSERT_EQ(right.frames[i], pattern(sizes[i], sizes[i])) << sizes[i];
  }
  for (const Status& status : left.done) EXPECT_TRUE(status.ok());
  EXPECT_EQ(rig.a->queued_bytes(), 0u);
}

TEST_P(LinkConformance, CarriesBothDirectionsAtOnce) {
  rig.start(*rig.a, left);
  rig.start(*rig.b, right);
  for (std::size_t i = 0; i < 500; ++i) {
    rig.a->send(pattern(1 + i * 13, i), kNoDeadline, nullptr);
    rig.b->send(pattern(1 + i * 11, i), kNoDeadline, nullptr);
  }
  ASSERT_TRUE(rig.wait([&] { return right.frames.size() == 500 && left.frames.size() == 500; }));
  for (std::size_t i = 0; i < 500; ++i) {
    ASSERT_EQ(right.frames[i], pattern(1 + i * 13, i));
    ASSERT_EQ(left.frames[i], pattern(1 + i * 11, i));
  }
}

TEST_P(LinkConformance, RefusesAWrongSizeWithoutHarm) {
  rig.start(*rig.b, right);
  rig.start(*rig.a, left);
  rig.a->send(Bytes(rig.a->max_frame() + 1), kNoDeadline, rig.done(left));
  rig.a->send(Bytes(), kNoDeadline, rig.done(left));
  rig.a->send(Bytes(5), kNoDeadline, nullptr);
  ASSERT_TRUE(rig.wait([&] { return left.done.size() == 2 && right.frames.size() == 1; }));
  for (const Status& status : left.done) EXPECT_EQ(status.error().code, Code::kInternal);
  EXPECT_TRUE(left.closed.empty());
}

TEST_P(LinkConformance, RunsEachDoneOnceWhenClosedInTheMiddle) {
  rig.start(*rig.a, left);
  rig.start(*rig.b, right);
  std::vector<int> bombs(2000, 0);
  for (std::size_t i = 0; i < bombs.size(); ++i) {
    rig.a->send(pattern(3000, i), kNoDeadline,
                [this, &bombs, i](const Status&) { rig.meeting.change([&] { ++bombs[i]; }); });
    if (i == 1000) rig.a->close();
  }
  ASSERT_TRUE(rig.wait([&] {
    return left.closed.size() == 1 && right.closed.size() == 1 &&
           std::count(bombs.begin(), bombs.end(), 0) == 0;
  }));
  rig.a.reset();
  rig.b.reset();
  EXPECT_EQ(std::count(bombs.begin(), bombs.end(), 1), 2000);
  EXPECT_EQ(left.closed.size(), 1u);
  EXPECT_EQ(left.closed[0].code, Code::kClosed);
}

TEST_P(LinkConformance, RunsEachDoneBeforeTheDestructorReturns) {
  rig.start(*rig.a, left);
  for (int i = 0; i < 500; ++i) rig.a->send(Bytes(60'000), kNoDeadline, rig.done(left));
  rig.a.reset();
  EXPECT_EQ(rig.meeting.read<std::size_t>([&] { return left.done.size(); }), 500u);
  EXPECT_TRUE(left.closed.empty());
}

TEST_P(LinkConformance, TellsOnceThatThePeerHasClosed) {
  rig.start(*rig.a, left);
  rig.start(*rig.b, right);
  rig.b->send(pattern(100, 1), kNoDeadline, rig.done(right));
  ASSERT_TRUE(rig.wait([&] { return right.done.size() == 1; }));
  rig.b->close();
  ASSERT_TRUE(rig.wait([&] { return left.closed.size() == 1 && right.closed.size() == 1; }));
  EXPECT_EQ(left.frames.size(), 1u) << "what was sent before the end is lost";
  EXPECT_EQ(left.closed[0].code, sealed() ? Code::kClosed : Code::kPeerLost);
  EXPECT_EQ(right.closed[0].code, Code::kClosed);
  rig.a->send(Bytes(1), kNoDeadline, rig.done(left));
  ASSERT_TRUE(rig.wait([&] { return left.done.size() == 1; }));
  EXPECT_EQ(left.done[0].error(), left.closed[0]) << "the first error is the last";
}

TEST_P(LinkConformance, CompletesASendAfterCloseWithClosed) {
  rig.start(*rig.a, left);
  rig.a->close();
  rig.a->close();
  rig.a->send(Bytes(1), kNoDeadline, rig.done(left));
  ASSERT_TRUE(rig.wait([&] { return left.done.size() == 1; }));
  EXPECT_EQ(left.done[0].error().code, Code::kClosed);
}

TEST_P(LinkConformance, FailsWhenAFrameMissesItsDeadline) {
  rig.start(*rig.a, left);  // the peer never starts, so nobody reads
  const Deadline soon = rig.now() + std::chrono::milliseconds(300);
  for (int i = 0; i < 600; ++i) rig.a->send(Bytes(60'000), soon, rig.done(left));
  ASSERT_TRUE(rig.wait([&] { return left.closed.size() == 1 && left.done.size() == 600; }));
  EXPECT_EQ(left.closed[0].code, Code::kTimedOut);
  EXPECT_EQ(left.done.back().error().code, Code::kTimedOut);
}

TEST_P(LinkConformance, HoldsTenThousandFramesBackAndLosesNone) {
  rig.start(*rig.a, left);
  for (std::size_t i = 0; i < 10'000; ++i) {
    rig.a->send(pattern(2000, i), kNoDeadline, rig.done(left));
  }
  EXPECT_GT(rig.a->queued_bytes(), 0u);
  rig.start(*rig.b, right);
  // Stop and go on a few times in between.
  for (std::size_t stop = 1000; stop < 10'000; stop += 3000) {
    ASSERT_TRUE(rig.wait([&] { return right.frames.size() >= stop; }));
    rig.b->executor().call([this] { rig.b->set_reading(false); });
    rig.b->executor().call([this] { rig.b->set_reading(true); });
  }
  ASSERT_TRUE(
      rig.wait([&] { return right.frames.size() == 10'000 && left.done.size() == 10'000; }));
  for (std::size_t i = 0; i < 10'000; ++i) ASSERT_EQ(right.frames[i], pattern(2000, i));
  EXPECT_EQ(rig.a->queued_bytes(), 0u);
}

TEST_P(LinkConformance, MayBeDestroyedByItsOwnHandler) {
  bool gone = false;
  rig.b->start(
      [this, &gone](const Bytes&) {
        rig.b.reset();
        rig.meeting.change([&] { gone = true; });
      },
      nullptr);
  rig.start(*rig.a, left);
  for (int i = 0; i < 10; ++i) rig.a->send(Bytes(10), kNoDeadline, nullptr);
  ASSERT_TRUE(rig.wait([&] { return gone && left.closed.size() == 1; }));
}

INSTANTIATE_TEST_SUITE_P(Links, LinkConformance,
                         testing::Values("inproc", "tcp", "sim", "relay_tcp", "relay_sim",
                                         "ucx_shm", "ucx_tcp", "secure_inproc", "secure_tcp",
                                         "secure_sim", "secure_relay_tcp", "secure_relay_sim",
                                         "secure_ucx_shm", "secure_ucx_tcp"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace reef::link
