#include "runtime/link/relay/relay.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "runtime/link/relay/end.h"
#include "runtime/link/sim/plain_channel.h"
#include "tests/conformance/rig.h"

namespace reef::link::relay {
namespace {

using namespace std::chrono_literals;

security::Credential named(const std::string& name) {
  security::Credential who;
  who.name = name;
  who.noise_key[0] = static_cast<std::byte>(name[0]);
  return who;
}

Join to(const std::string& name, std::uint16_t stream = 0) {
  return {7, named(name).noise_key, stream};
}

/// Hosts "a", "b", ... with legs to one relay on host "hub", on plain records.
class RelayTest : public testing::Test {
 protected:
  std::unique_ptr<RecordLink> leg(const std::string& name) {
    auto [near, far] = network.connect(name, "hub", line);
    relay->add(PlainChannelForTests::records(std::move(far)), named(name));
    return PlainChannelForTests::records(std::move(near));
  }

  struct Outcome {
    std::unique_ptr<Link> link;
    std::optional<Error> error;
    bool over() const { return link || error; }
  };
  void ask(const std::string& name, const Join& whom, Outcome& outcome,
           Deadline deadline = kNoDeadline) {
    relay::join(leg(name), whom, {"far", "hub"}, deadline, [&outcome](auto link) {
      if (link.ok()) {
        outcome.link = std::move(*link);
      } else {
        outcome.error = link.error();
      }
    });
  }
  bool wait(const std::function<bool()>& condition) {
    return network.run_while_not(condition, 60s);
  }
  void pair() {
    ask("a", to("b"), a);
    ask("b", to("a"), b);
    ASSERT_TRUE(wait([this] { return a.link && b.link; }));
    start(*a.link, left);
    start(*b.link, right);
  }
  static void start(Link& link, Seen& seen) {
    link.start([&seen](Bytes frame) { seen.frames.push_back(std::move(frame)); },
               [&seen](Error why) { seen.closed.push_back(std::move(why)); });
  }

  void TearDown() override {
    for (Outcome* one : {&a, &b, &c, &d}) one->link.reset();
    relay.reset();
  }

  Outcome a, b, c, d;  // hear of joins until the network is gone
  Seen left, right;
  sim::SimNetwork network{1};
  sim::Line line;
  Status verdict;
  std::vector<std::string> asked;
  std::unique_ptr<Relay> relay = std::make_unique<Relay>(
      network, 10s, [this](const security::Credential& who, const Join& join) {
        asked.push_back(who.name + std::to_string(join.epoch));
        return verdict;
      });
};

TEST_F(RelayTest, JoinsTheTwoThatAskForEachOther) {
  ask("a", to("b", 1), a);
  ask("c", to("a", 1), c);  // a did not ask for c
  ask("b", to("a", 2), d);  // another stream
  network.run_for(1s);
  EXPECT_FALSE(a.over() || c.over() || d.over());
  ask("b", to("a", 1), b);
  ASSERT_TRUE(wait([this] { return a.link && b.link; }));
  EXPECT_FALSE(c.over() || d.over());
  EXPECT_THAT(asked, testing::ElementsAre("a7", "c7", "b7", "b7"));
  start(*a.link, left);
  start(*b.link, right);
  a.link->send(pattern(100, 1), kNoDeadline, nullptr);
  b.link->send(pattern(90, 2), kNoDeadline, nullptr);
  ASSERT_TRUE(wait([this] { return left.frames.size() == 1 && right.frames.size() == 1; }));
  EXPECT_EQ(right.frames[0], pattern(100, 1));
  EXPECT_EQ(left.frames[0], pattern(90, 2));
  EXPECT_EQ(relay->passed_bytes(7), 190u);
}

TEST_F(RelayTest, RefusesWhomItMayNotJoin) {
  verdict = Error{Code::kRefused, "a", "not of this plan"};
  ask("a", to("b"), a);
  ASSERT_TRUE(wait([this] { return a.over(); }));
  EXPECT_EQ(a.error->text(),
            "E_REFUSED: relay hub: far and this node are not joined there; its log says why");
  ASSERT_TRUE(wait([this] { return relay->legs() == 0; }));
}

TEST_F(RelayTest, RefusesASecondLegForTheSameAndOneToItself) {
  ask("a", to("b"), a);
  ask("a", to("b"), c);
  ask("c", to("c"), d);
  ASSERT_TRUE(wait([&] { return c.over() && d.over(); }));
  EXPECT_EQ(c.error->code, Code::kRefused);
  EXPECT_EQ(d.error->code, Code::kRefused);
  EXPECT_FALSE(a.over());
  ask("b", to("a"), b);
  ASSERT_TRUE(wait([this] { return a.link && b.link; }));
}

TEST_F(RelayTest, WaitsNoLongerThanItsPatienceOrTheDeadline) {
  ask("a", to("b"), a);
  ask("c", to("b"), b, network.clock().now() + 3s);
  network.run_for(4s);
  ASSERT_TRUE(b.error);
  EXPECT_EQ(b.error->text(), "E_TIMED_OUT: relay hub: far did not come to it in time");
  EXPECT_FALSE(a.over());
  auto silent = leg("d");  // never asks
  network.run_for(20s);
  ASSERT_TRUE(a.error);
  EXPECT_EQ(a.error->text(), "E_TIMED_OUT: relay hub: far did not come to it in time");
  EXPECT_EQ(relay->legs(), 0u);
}

TEST_F(RelayTest, HasSoManyLegsThatAreNotJoinedAndNoMore) {
  pair();
  std::vector<std::unique_ptr<RecordLink>> legs;
  for (std::size_t i = 0; i < Relay::kMostUnjoined + 5; ++i) legs.push_back(leg("d"));
  EXPECT_EQ(relay->legs(), 2 + Relay::kMostUnjoined);
  network.run_for(11s);
  EXPECT_EQ(relay->legs(), 2u);
  ask("c", to("d"), c);
  ask("d", to("c"), d);
  EXPECT_TRUE(wait([this] { return c.link && d.link; }));
}

TEST_F(RelayTest, SaysAtOnceWhoIsGone) {
  pair();
  network.cut("a", "hub");
  network.run_for(20ms);
  ASSERT_EQ(right.closed.size(), 1u);
  EXPECT_EQ(right.closed[0].text(), "E_PEER_LOST: relay hub: far was lost at the other side of it");
  ASSERT_EQ(left.closed.size(), 1u);
  EXPECT_EQ(left.closed[0].text(),
            "E_PEER_LOST: relay hub: the relay itself was lost: the line was cut");
  network.run_for(1s);
  EXPECT_EQ(relay->legs(), 0u);
}

TEST_F(RelayTest, BothHearThatTheRelayIsGone) {
  pair();
  relay.reset();
  network.run_for(20ms);
  for (const Seen* seen : {&left, &right}) {
    ASSERT_EQ(seen->closed.size(), 1u);
    EXPECT_THAT(seen->closed[0].text(),
                testing::StartsWith("E_PEER_LOST: relay hub: the relay itself was lost"));
  }
}

TEST_F(RelayTest, DropsWhoIsRevokedAndSaysSo) {
  pair();
  relay->drop([](const security::Credential& who) { return who.name == "c"; });
  network.run_for(1s);
  EXPECT_TRUE(left.closed.empty() && right.closed.empty());
  relay->drop([](const security::Credential& who) { return who.name == "a"; });
  network.run_for(1s);
  ASSERT_EQ(right.closed.size(), 1u);
  EXPECT_EQ(right.closed[0].text(), "E_PEER_LOST: relay hub: far was revoked and dropped there");
  EXPECT_EQ(left.closed.size(), 1u);
  EXPECT_EQ(relay->legs(), 0u);
}

TEST_F(RelayTest, HoldsNoMoreThanTheWindowForASlowReader) {
  pair();
  b.link->set_reading(false);
  for (int i = 0; i < 400; ++i) {
    a.link->send(pattern(60'000, i), kNoDeadline,
                 [this](const Status& s) { left.done.push_back(s); });
  }
  network.run_for(10s);
  EXPECT_LE(relay->outstanding(), kWindow);
  EXPECT_GT(relay->outstanding(), kWindow / 2);
  EXPECT_LT(left.done.size(), 20u);
  EXPECT_GT(a.link->queued_bytes(), 20'000'000u);
  // The other way nobody waits.
  b.link->send(pattern(10, 1), kNoDeadline, nullptr);
  network.run_for(1s);
  EXPECT_EQ(left.frames.size(), 1u);
  b.link->set_reading(true);
  ASSERT_TRUE(wait([this] { return right.frames.size() == 400; }));
  network.run_for(1s);
  EXPECT_LT(relay->outstanding(), kTellTaken);
  for (std::size_t i = 0; i < 400; ++i) ASSERT_EQ(right.frames[i], pattern(60'000, i));
}

TEST_F(RelayTest, ManySmallFramesAreBoundedToo) {
  pair();
  b.link->set_reading(false);
  for (int i = 0; i < 100'000; ++i) a.link->send(Bytes(1), kNoDeadline, nullptr);
  network.run_for(10s);
  EXPECT_LE(relay->passed_bytes(7), kWindow / kFrameCost);
  b.link->set_reading(true);
  ASSERT_TRUE(wait([this] { return right.frames.size() == 100'000; }));
}

// --- what is not honest -------------------------------------------------------------------------

/// A leg in the test's own hands.
struct Hand {
  std::unique_ptr<RecordLink> leg;
  std::vector<std::pair<Kind, Bytes>> heard;
  std::optional<Error> closed;
  void start() {
    leg->start_records(
        [this](const RecordHeader& header, BytesView body) {
          heard.emplace_back(static_cast<Kind>(header.flags), to_bytes(body));
        },
        [this](Error why) { closed = std::move(why); });
  }
  void say(Kind kind, BytesView body) {
    leg->send_record({static_cast<std::uint8_t>(kind), 0, 0}, {&body, 1}, kNoDeadline, nullptr);
  }
};

class HostileEnd : public RelayTest {
 protected:
  /// Joined by hand with an honest "b".
  void join_by_hand() {
    hand.leg = leg("a");
    hand.start();
    hand.say(Kind::kJoin, encode(to("b")));
    ask("b", to("a"), b);
    ASSERT_TRUE(wait([this] { return b.link && !hand.heard.empty(); }));
    EXPECT_EQ(hand.heard[0].first, Kind::kJoined);
    start(*b.link, right);
  }
  void expect_broken() {
    network.run_for(1s);
    ASSERT_EQ(right.closed.size(), 1u);
    EXPECT_EQ(right.closed[0].text(),
              "E_PEER_LOST: relay hub: far broke the protocol and was dropped there");
    EXPECT_TRUE(hand.closed);
    EXPECT_EQ(relay->legs(), 0u);
  }
  Hand hand;
};

TEST_F(HostileEnd, SendsBeyondItsWindow) {
  join_by_hand();
  b.link->set_reading(false);
  network.run_for(1s);
  const Bytes frame(60'000);
  for (int i = 0; i < 18; ++i) hand.say(Kind::kData, frame);
  network.run_for(1s);
  EXPECT_LE(relay->outstanding(), kWindow);
  EXPECT_TRUE(hand.closed);
  b.link->set_reading(true);
  expect_broken();
}

TEST_F(HostileEnd, TakesWhatWasNotSent) {
  join_by_hand();
  hand.say(Kind::kTaken, encode_taken(kTellTaken));
  expect_broken();
}

TEST_F(HostileEnd, TakesWhatHasNotLeftTheRelay) {
  line.window = 64 << 10;  // and nobody reads
  join_by_hand();
  hand.leg->set_reading(false);
  for (int i = 0; i < 20; ++i) b.link->send(Bytes(60'000), kNoDeadline, nullptr);
  network.run_for(1s);
  EXPECT_GT(relay->outstanding(), kWindow / 2);
  hand.say(Kind::kTaken, encode_taken(kTellTaken));
  network.run_for(1s);
  EXPECT_EQ(right.closed.size(), 1u);
  hand.leg->set_reading(true);
  expect_broken();
}

TEST_F(HostileEnd, SendsOnWithoutHearingOfCredit) {
  line.window = 4 << 10;
  join_by_hand();
  hand.leg->set_reading(false);
  const Bytes flood(3'000);
  for (int i = 0; i < 40; ++i) b.link->send(flood, kNoDeadline, nullptr);  // fills its line
  network.run_for(1s);
  const Bytes frame(60'000);
  for (int i = 0; i < 40; ++i) {
    hand.say(Kind::kData, frame);
    network.run_for(1s);
  }
  EXPECT_LE(relay->passed_bytes(7), kWindow + 40 * flood.size());
  EXPECT_FALSE(right.closed.empty());
}

TEST_F(HostileEnd, TakesCrumbs) {
  join_by_hand();
  b.link->send(Bytes(1000), kNoDeadline, nullptr);
  network.run_for(1s);
  hand.say(Kind::kTaken, encode_taken(cost_of(1000)));
  expect_broken();
}

TEST_F(HostileEnd, SaysWhatOnlyARelaySays) {
  join_by_hand();
  hand.say(Kind::kEnded, encode(Why::kRefused));
  expect_broken();
}

TEST_F(HostileEnd, AsksTwice) {
  join_by_hand();
  hand.say(Kind::kJoin, encode(to("b", 1)));
  expect_broken();
}

TEST_F(HostileEnd, SendsBeforeItIsJoined) {
  for (const auto& [kind, body] : std::vector<std::pair<Kind, Bytes>>{
           {Kind::kData, Bytes(5)},
           {Kind::kTaken, encode_taken(kTellTaken)},
           {Kind::kJoined, Bytes(1)},
           {static_cast<Kind>(9), Bytes(1)},
           {Kind::kJoin, Bytes(kJoinSize - 1)},
           {Kind::kJoin, encode(to("b", 65))},
       }) {
    Hand early;
    early.leg = leg("a");
    early.start();
    early.say(kind, body);
    network.run_for(1s);
    EXPECT_TRUE(early.closed) << static_cast<int>(kind);
    EXPECT_EQ(relay->legs(), 0u);
  }
}

/// An honest end whose relay is in the test's hands.
class HostileRelay : public RelayTest {
 protected:
  void begin(bool joined) {
    auto [near, far] = network.connect("a", "hub", line);
    hand.leg = PlainChannelForTests::records(std::move(far));
    hand.start();
    relay::join(PlainChannelForTests::records(std::move(near)), to("b"), {"far", "hub"},
                kNoDeadline, [this](auto link) {
                  if (!link.ok()) {
                    a.error = link.error();
                  } else {
                    a.link = std::move(*link);
                  }
                });
    if (joined) hand.say(Kind::kJoined, Bytes(1));
    network.run_for(1s);
    if (a.link) start(*a.link, left);
  }
  Hand hand;
};

TEST_F(HostileRelay, BreaksTheProtocol) {
  const std::vector<std::tuple<bool, Kind, Bytes>> rows{
      {false, Kind::kData, Bytes(5)},
      {false, Kind::kTaken, encode_taken(kTellTaken)},
      {false, Kind::kEnded, Bytes(2)},
      {false, Kind::kEnded, Bytes(1)},
      {true, Kind::kJoined, Bytes(1)},
      {true, Kind::kJoin, encode(to("b"))},
      {true, Kind::kTaken, encode_taken(kTellTaken)},
      {true, Kind::kTaken, Bytes(3)},
      {true, Kind::kEnded, encode(static_cast<Why>(7))},
      {true, static_cast<Kind>(200), Bytes(1)},
  };
  for (const auto& [joined, kind, body] : rows) {
    a = {};
    left = {};
    hand = {};
    begin(joined);
    hand.say(kind, body);
    network.run_for(1s);
    const Error why = joined ? left.closed.at(0) : a.error.value();
    EXPECT_EQ(why.code, Code::kProto) << static_cast<int>(kind) << " " << why.text();
    EXPECT_EQ(why.where, "relay hub");
  }
}

TEST_F(HostileRelay, SendsMoreThanTheWindow) {
  begin(true);
  a.link->set_reading(false);
  network.run_for(1s);
  for (int i = 0; i < 18; ++i) hand.say(Kind::kData, Bytes(60'000));
  network.run_for(1s);
  ASSERT_EQ(left.closed.size(), 1u);
  EXPECT_EQ(left.closed[0].code, Code::kProto);
}

/// A relay that joins two ends and meddles with what it passes on, under a sealed link.
class Meddling : public RelayTest {
 protected:
  /// Sends the frames of each end to the other, the ones from "a" through `meddle`.
  using Frames = std::vector<Bytes>;
  using Meddle = std::function<Frames(std::size_t index, const Bytes& frame)>;

  void run(const Meddle& meddle) {
    one.leg = place("a", identities.scheduler->noise_key(), a);
    two.leg = place("b", identities.node->noise_key(), b);
    std::size_t index = 0;
    from(one, [&, this](const Bytes& frame) {
      for (const Bytes& out : meddle(index++, frame)) two.say(Kind::kData, out);
    });
    from(two, [this](const Bytes& frame) { one.say(Kind::kData, frame); });
    ASSERT_TRUE(wait([this] { return a.link && b.link; }));
    std::unique_ptr<Link> dialled, accepted;
    std::optional<Error> failed;
    const auto keep = [&failed](std::unique_ptr<Link>& link) {
      return [&failed, &link](Result<std::unique_ptr<secure::SecureLink>> sealed) {
        if (sealed.ok()) {
          link = std::move(*sealed);
        } else {
          failed = sealed.error();
        }
      };
    };
    secure::accept(std::move(b.link), identities.scheduler_local(), kNoDeadline, keep(accepted));
    secure::connect(std::move(a.link), identities.node_local(), identities.expected(), {},
                    kNoDeadline, keep(dialled));
    ASSERT_TRUE(wait([&] { return dialled && accepted; }));
    start(*accepted, right);
    start(*dialled, left);
    for (std::size_t i = 0; i < 20; ++i) dialled->send(pattern(500, i), kNoDeadline, nullptr);
    network.run_for(2s);
  }

  std::unique_ptr<RecordLink> place(const std::string& name, const security::PublicKey& far,
                                    Outcome& outcome) {
    auto [near, hub] = network.connect(name, "hub", line);
    relay::join(PlainChannelForTests::records(std::move(near)), {7, far, 0}, {"far", "hub"},
                kNoDeadline, [&outcome](auto link) { outcome.link = std::move(*link); });
    return PlainChannelForTests::records(std::move(hub));
  }
  void from(Hand& hand, const std::function<void(const Bytes&)>& pass) {
    hand.leg->start_records(
        [this, &hand, pass](const RecordHeader& header, BytesView body) {
          const auto kind = static_cast<Kind>(header.flags);
          if (kind == Kind::kJoin) hand.say(Kind::kJoined, Bytes(1));
          if (kind == Kind::kData) {
            seen_by_relay.insert(seen_by_relay.end(), body.begin(), body.end());
            pass(to_bytes(body));
          }
        },
        nullptr);
  }

  Identities identities;
  Hand one, two;
  Bytes seen_by_relay;
};

TEST_F(Meddling, SeesNothingAndChangesNothingUnseen) {
  constexpr std::size_t kAt = 7;  // two frames of the handshake, then records
  run([](std::size_t, const Bytes& frame) { return Frames{frame}; });
  ASSERT_EQ(right.frames.size(), 20u);
  EXPECT_TRUE(right.closed.empty());
  const Bytes secret = pattern(500, 3);
  EXPECT_TRUE(std::ranges::search(seen_by_relay, BytesView(secret).first(32)).empty());

  std::optional<Bytes> held;
  const std::vector<std::tuple<const char*, std::size_t, Meddle>> rows{
      {"flips a bit", 5,
       [](std::size_t i, Bytes frame) {
         if (i == kAt) frame[9] ^= std::byte{1};
         return Frames{frame};
       }},
      {"repeats", 6,
       [](std::size_t i, const Bytes& frame) {
         return i == kAt ? Frames{frame, frame} : Frames{frame};
       }},
      {"leaves out", 5,
       [](std::size_t i, const Bytes& frame) { return i == kAt ? Frames{} : Frames{frame}; }},
      {"swaps two", 5,
       [&held](std::size_t i, const Bytes& frame) {
         if (i == kAt) return held = frame, Frames{};
         return i == kAt + 1 ? Frames{frame, *held} : Frames{frame};
       }},
      {"makes one up", 5,
       [](std::size_t i, const Bytes& frame) {
         return i == kAt ? Frames{Bytes(100), frame} : Frames{frame};
       }},
  };
  for (const auto& [what, whole, meddle] : rows) {
    SCOPED_TRACE(what);
    left = {};
    right = {};
    a = {};
    b = {};
    run(meddle);
    EXPECT_EQ(right.frames.size(), whole);
    ASSERT_EQ(right.closed.size(), 1u);
    EXPECT_EQ(right.closed[0].code, Code::kProto) << right.closed[0].text();
    for (std::size_t i = 0; i < right.frames.size(); ++i)
      EXPECT_EQ(right.frames[i], pattern(500, i));
  }
}

}  // namespace
}  // namespace reef::link::relay
