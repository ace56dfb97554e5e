#include "runtime/link/secure/secure_link.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "runtime/link/secure/handshake.h"
#include "tests/conformance/rig.h"

namespace reef::link {
namespace {

using namespace std::chrono_literals;
using security::Role;

/// Both ends of a handshake in simulation, with the attacker in the middle: every frame of a
/// direction passes a function that may record it, change it or answer with several.
class SecureLink : public testing::Test {
 protected:
  using Tamper = std::function<std::vector<Bytes>(Bytes)>;
  using Outcome = std::optional<Result<std::unique_ptr<secure::SecureLink>>>;

  void SetUp() override {
    std::tie(dialler_, to_dialler_) = network_.connect("dialler", "attacker", {});
    std::tie(to_acceptor_, acceptor_) = network_.connect("attacker", "acceptor", {});
    relay(*to_dialler_, to_acceptor_, forward_);
    relay(*to_acceptor_, to_dialler_, backward_);
  }
  void relay(Link& from, std::unique_ptr<Link>& to, Tamper& tamper) {
    from.start(
        [this, &to, &tamper](Bytes frame) {
          seen_.insert(seen_.end(), frame.begin(), frame.end());
          if (!tamper) return to->send(std::move(frame), kNoDeadline, nullptr);
          for (Bytes& one : tamper(std::move(frame))) {
            to->send(std::move(one), kNoDeadline, nullptr);
          }
        },
        [&to](const Error&) {
          if (to) to->close();
        });
  }
  void handshake(const secure::StreamId& stream = {
                     .stream = 7, .streams = 9, .bundle = {std::byte{5}}}) {
    secure::accept(std::move(acceptor_), scheduler_, kNoDeadline,
                   [this](auto link) { right_.emplace(std::move(link)); });
    secure::connect(std::move(dialler_), node_, expected_, stream, kNoDeadline,
                    [this](auto link) { left_.emplace(std::move(link)); });
    ASSERT_TRUE(network_.run_while_not([this] { return left_ && right_; }, 20s));
  }
  void open() {
    handshake();
    ASSERT_TRUE(left_->ok()) << left_->error().text();
    ASSERT_TRUE(right_->ok()) << right_->error().text();
    start(**left_, got_left_);
    start(**right_, got_right_);
    network_.run_for(10ms);
  }
  static void start(std::unique_ptr<secure::SecureLink>& link, Seen& seen) {
    link->start([&seen](Bytes frame) { seen.frames.push_back(std::move(frame)); },
                [&seen](const Error& why) { seen.closed.push_back(why); });
  }
  void say(std::string_view text) {
    (**left_)->send(to_bytes(as_bytes(text)), kNoDeadline, nullptr);
  }
  void expect_refused(Code acceptor, Code dialler) {
    handshake();
    ASSERT_FALSE(right_->ok());
    ASSERT_FALSE(left_->ok());
    EXPECT_EQ(right_->error().code, acceptor) << right_->error().text();
    EXPECT_EQ(left_->error().code, dialler) << left_->error().text();
  }

  sim::SimNetwork network_{1};
  Identities identities_;
  secure::Local node_ = identities_.node_local();
  secure::Local scheduler_ = identities_.scheduler_local();
  secure::ExpectedPeer expected_ = identities_.expected();
  std::unique_ptr<Link> dialler_, to_dialler_, to_acceptor_, acceptor_;
  Tamper forward_, backward_;
  Bytes seen_;
  Outcome left_, right_;
  Seen got_left_, got_right_;
};

TEST(Handshake, IsOverAfterAStranger) {
  const Identities identities;
  const secure::Local node = identities.node_local(), scheduler = identities.scheduler_local();
  secure::Handshake dialler(node, true, identities.expected(), {.stream = 1, .streams = 2},
                            "acceptor");
  secure::Handshake acceptor(scheduler, false, {}, {}, "dialler");
  const Bytes first = dialler.open().value();
  EXPECT_EQ(acceptor.read(Bytes(61)).error().code, Code::kProto);
  EXPECT_EQ(acceptor.read(first).error().code, Code::kProto);
  EXPECT_FALSE(acceptor.complete());
}

TEST(Handshake, TakesNoFrameTooMany) {
  const Identities identities;
  const secure::Local node = identities.node_local(), scheduler = identities.scheduler_local();
  secure::Handshake dialler(node, true, identities.expected(), {.stream = 1, .streams = 2},
                            "acceptor");
  secure::Handshake acceptor(scheduler, false, {}, {}, "dialler");
  const Bytes second = acceptor.read(dialler.open().value()).value();
  const Bytes third = dialler.read(second).value();
  EXPECT_EQ(dialler.read(second).error().code, Code::kProto);
  EXPECT_TRUE(acceptor.read(third).ok());
  EXPECT_EQ(acceptor.read(third).error().code, Code::kProto);
  EXPECT_TRUE(acceptor.complete() && acceptor.verdict().ok());
}

TEST(Handshake, RefusesAnUnknownPurpose) {
  const Identities identities;
  const secure::Local node = identities.node_local(), scheduler = identities.scheduler_local();
  secure::StreamId stream{.stream = 1, .streams = 2};
  stream.purpose = static_cast<secure::Purpose>(static_cast<int>(secure::kLastPurpose) + 1);
  secure::Handshake dialler(node, true, identities.expected(), stream, "acceptor");
  secure::Handshake acceptor(scheduler, false, {}, {}, "dialler");
  const Bytes second = acceptor.read(dialler.open().value()).value();
  EXPECT_EQ(acceptor.read(dialler.read(second).value()).error().code, Code::kProto);
}

TEST_F(SecureLink, KnowsItsPeerAndItsSession) {
  open();
  EXPECT_EQ((**left_)->peer(), identities_.credential(Role::kScheduler));
  EXPECT_EQ((**right_)->peer(), identities_.credential(Role::kNode));
  EXPECT_EQ((**left_)->handshake_hash(), (**right_)->handshake_hash());
  EXPECT_EQ((**right_)->stream(),
            (secure::StreamId{.stream = 7, .streams = 9, .bundle = {std::byte{5}}}));
  EXPECT_EQ(scheduler_.counters->established, 1u);
}

TEST_F(SecureLink, KnowsForWhichJobAStreamIs) {
  handshake({.stream = 1, .streams = 2, .epoch = 0x1122334455667788});
  ASSERT_TRUE(right_->ok());
  EXPECT_EQ((**right_)->stream().epoch, 0x1122334455667788u);
}

/// Those of the scheduler are too long for this.
TEST_F(SecureLink, GivesUpOnSilenceByTheTimesOfTheJobThatItIsFor) {
  open();
  (**right_)->keep_alive(50ms, 200ms);
  forward_ = [](const Bytes&) { return std::vector<Bytes>(); };
  network_.run_for(300ms);
  ASSERT_EQ(got_right_.closed.size(), 1u);
  EXPECT_EQ(got_right_.closed[0].code, Code::kTimedOut);
}

TEST_F(SecureLink, SealsWithAesWhereTheClusterWantsIt) {
  if (!security::has_aes()) GTEST_SKIP() << "this processor has no AES instructions";
  node_.suite = scheduler_.suite = secure::SuiteId::kAesGcm;
  open();
  say("the tide comes in");
  network_.run_for(1s);
  ASSERT_EQ(got_right_.frames.size(), 1u);
  EXPECT_EQ(as_text(got_right_.frames[0]), "the tide comes in");
}

TEST_F(SecureLink, TakesAnotherSuiteForAStranger) {
  node_.suite = secure::SuiteId::kAesGcm;
  if (!security::has_aes()) std::swap(node_.suite, scheduler_.suite);
  handshake();
  EXPECT_FALSE(left_->ok());
  ASSERT_FALSE(right_->ok());
  EXPECT_EQ(right_->error().code, Code::kProto);
  EXPECT_EQ(scheduler_.counters->garbage, 1u);
}

TEST_F(SecureLink, ShowsNothingToTheLine) {
  open();
  const std::string secret = "the weights of layer seventeen";
  say(secret);
  network_.run_for(1s);
  ASSERT_EQ(got_right_.frames.size(), 1u);
  const std::string_view wire = as_text(seen_);
  for (const std::string& hidden : {secret, std::string("node-1"), std::string("scheduler")}) {
    EXPECT_EQ(wire.find(hidden), std::string_view::npos) << hidden;
  }
  const auto key = as_text(identities_.node->noise_key());
  EXPECT_EQ(wire.find(key), std::string_view::npos) << "XK hides the initiator's key";
}

TEST_F(SecureLink, ClosesOnAFlippedBit) {
  open();
  forward_ = [](Bytes frame) {
    frame[frame.size() / 2] ^= std::byte{1};
    return std::vector<Bytes>{frame};
  };
  say("x");
  network_.run_for(1s);
  EXPECT_TRUE(got_right_.frames.empty());
  ASSERT_EQ(got_right_.closed.size(), 1u);
  EXPECT_EQ(got_right_.closed[0].code, Code::kProto);
  ASSERT_EQ(got_left_.closed.size(), 1u);
  EXPECT_EQ(got_left_.closed[0].code, Code::kPeerLost);
}

TEST_F(SecureLink, ClosesOnAReplay) {
  open();
  forward_ = [](const Bytes& frame) { return std::vector<Bytes>{frame, frame}; };
  say("x");
  network_.run_for(1s);
  EXPECT_EQ(got_right_.frames.size(), 1u);
  ASSERT_EQ(got_right_.closed.size(), 1u);
  EXPECT_EQ(got_right_.closed[0].code, Code::kProto);
}

TEST_F(SecureLink, ClosesOnAReorder) {
  open();
  std::vector<Bytes> held;
  forward_ = [&held](Bytes frame) {
    held.push_back(std::move(frame));
    if (held.size() < 2) return std::vector<Bytes>();
    return std::vector<Bytes>{held[1], held[0]};
  };
  say("first");
  say("second");
  network_.run_for(1s);
  EXPECT_TRUE(got_right_.frames.empty());
  ASSERT_EQ(got_right_.closed.size(), 1u);
  EXPECT_EQ(got_right_.closed[0].code, Code::kProto);
}

TEST_F(SecureLink, ClosesOnARecordReflectedToItsSender) {
  open();
  forward_ = [this](Bytes frame) {
    to_dialler_->send(std::move(frame), kNoDeadline, nullptr);
    return std::vector<Bytes>();
  };
  say("x");
  network_.run_for(1s);
  ASSERT_EQ(got_left_.closed.size(), 1u);
  EXPECT_EQ(got_left_.closed[0].code, Code::kProto);
}

TEST_F(SecureLink, TellsTruncationFromFarewell) {
  open();
  network_.cut("attacker", "acceptor");
  network_.run_for(1s);
  ASSERT_EQ(got_right_.closed.size(), 1u);
  EXPECT_EQ(got_right_.closed[0].code, Code::kPeerLost);
}

TEST_F(SecureLink, KnowsAFarewell) {
  open();
  say("last words");
  (**left_)->close();
  network_.run_for(1s);
  EXPECT_EQ(got_right_.frames.size(), 1u);
  ASSERT_EQ(got_right_.closed.size(), 1u);
  EXPECT_EQ(got_right_.closed[0].code, Code::kClosed);
  ASSERT_EQ(got_left_.closed.size(), 1u);
  EXPECT_EQ(got_left_.closed[0].code, Code::kClosed);
}

TEST_F(SecureLink, RekeysByCountAndByTime) {
  node_.rekey_records = 3;
  node_.rekey_every = 10s;
  open();
  for (int i = 0; i < 20; ++i) say("x");
  network_.run_for(1min);
  say("after a minute");
  network_.run_for(1s);
  EXPECT_EQ(got_right_.frames.size(), 21u);
  EXPECT_TRUE(got_right_.closed.empty());
}

TEST_F(SecureLink, RefusesAnotherAuthority) {
  const security::Authority other = security::Authority::generate();
  node_.credential = other.issue(identities_.credential(Role::kNode)).value();
  expect_refused(Code::kRefused, Code::kRefused);
  EXPECT_EQ(scheduler_.counters->refused, 1u);
}

TEST_F(SecureLink, RefusesAnAcceptorOfAnotherAuthority) {
  const security::Authority other = security::Authority::generate();
  scheduler_.credential = other.issue(identities_.credential(Role::kScheduler)).value();
  expect_refused(Code::kPeerLost, Code::kRefused);
}

TEST_F(SecureLink, RefusesAnExpiredCredential) {
  scheduler_.unix_now = [this] { return identities_.not_after + 1; };
  expect_refused(Code::kRefused, Code::kRefused);
}

TEST_F(SecureLink, RefusesACredentialForAnotherKey) {
  node_.key = std::make_shared<security::NodeKey>(security::NodeKey::generate());
  expect_refused(Code::kRefused, Code::kRefused);
}

TEST_F(SecureLink, RefusesTheWrongServerKey) {
  expected_.noise_key = identities_.node->noise_key();
  expect_refused(Code::kProto, Code::kPeerLost);
  EXPECT_EQ(scheduler_.counters->garbage, 1u);
}

TEST_F(SecureLink, RefusesAnotherCluster) {
  node_.cluster[0] ^= std::byte{1};
  expect_refused(Code::kProto, Code::kPeerLost);
}

TEST_F(SecureLink, RefusesADiallerOfAnotherRole) {
  expected_.role = Role::kNode;
  expect_refused(Code::kProto, Code::kPeerLost);
}

TEST_F(SecureLink, RefusesAChangedStreamNumber) {
  forward_ = [](Bytes frame) {
    if (frame.size() == 61) frame[11] ^= std::byte{1};
    return std::vector<Bytes>{frame};
  };
  expect_refused(Code::kProto, Code::kPeerLost);
}

TEST_F(SecureLink, GivesUpOnAPeerThatIsSilentInTheHandshake) {
  backward_ = [](const Bytes&) { return std::vector<Bytes>(); };
  const Time began = network_.clock().now();
  expect_refused(Code::kTimedOut, Code::kTimedOut);
  EXPECT_LE(network_.clock().now() - began, 6s);
}

/// What a stranger gets over real TCP: silence, and the end of the line.
class Stranger : public testing::TestWithParam<std::vector<Bytes>> {};

TEST_P(Stranger, IsClosedInSilence) {
  Loop loop;
  Meeting meeting;
  const Identities identities;
  const secure::Local local = identities.scheduler_local();
  std::optional<Error> refused;
  auto listener = tcp::Listener::listen(loop, "127.0.0.1", 0, [&](std::unique_ptr<Link> link) {
    secure::accept(std::move(link), local, loop.clock().now() + 300ms,
                   [&](auto result) { meeting.change([&] { refused = result.error(); }); });
  });
  std::unique_ptr<Link> stranger;
  Seen seen;
  tcp::dial(loop, "127.0.0.1", (*listener)->port(), kNoDeadline, [&](auto link) {
    stranger = std::move(link).value();
    stranger->start([&](Bytes frame) { meeting.change([&] { seen.frames.push_back(frame); }); },
                    [&](const Error& why) { meeting.change([&] { seen.closed.push_back(why); }); });
    for (const Bytes& frame : GetParam()) stranger->send(frame, kNoDeadline, nullptr);
  });
  ASSERT_TRUE(meeting.wait([&] { return refused && !seen.closed.empty(); }, nullptr));
  EXPECT_TRUE(seen.frames.empty());
  EXPECT_EQ(refused->code, GetParam().empty() ? Code::kTimedOut : Code::kProto) << refused->text();
  EXPECT_EQ(local.counters->garbage + local.counters->timed_out, 1u);
  EXPECT_EQ(local.counters->established, 0u);
  loop.call([&] { stranger.reset(); });
}

INSTANTIATE_TEST_SUITE_P(
    Says, Stranger,
    testing::Values(std::vector<Bytes>{}, std::vector<Bytes>{Bytes(1)},
                    std::vector<Bytes>{pattern(61, 5)}, std::vector<Bytes>{pattern(1024, 5)},
                    std::vector<Bytes>{pattern(1025, 5)}, std::vector<Bytes>{pattern(65535, 5)},
                    std::vector<Bytes>{to_bytes(as_bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))}));

}  // namespace
}  // namespace reef::link
