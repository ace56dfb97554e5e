#include "actors/core/host.h"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include "rig.h"
#include "runtime/device/cpu.h"

namespace reef::actors {
namespace {

struct RecordedWire final : node::Wire {
  void send_token(std::uint32_t, std::uint64_t sequence, const Token&) override {
    sent.push_back(sequence);
  }
  void send_credit(std::uint32_t) override { ++credits; }
  link::LineNow line(std::uint32_t) const override { return {}; }
  bool send_letter(std::uint32_t, node::Letter) override { return false; }
  std::vector<std::uint64_t> sent;
  int credits = 0;
};

struct TestingConfig : caf::actor_system_config {
  TestingConfig() { set("scheduler.policy", caf::atom("testing")); }
};

/// Fires without an end, or fails.
struct Script final : Task {
  explicit Script(Status with = {}) : status(std::move(with)) {}
  Status run(Firing&) override { return status; }
  Status status;
};

/// The sender or the receiver of wire_plan() with two slots; its local neighbour takes and never
/// gives.
/// A neighbour that hears everything and does nothing.
struct Deaf final : caf::event_based_actor {
  explicit Deaf(caf::actor_config& config) : caf::event_based_actor(config) {
    set_default_handler(caf::drop);
  }
  caf::behavior make_behavior() override {
    return {[](int) {}};
  }
};

/// Runs at once and writes down what pace was asked for.
struct RecordedStream final : device::Stream {
  void submit(std::int32_t priority, Work work, Done done, Duration pace) override {
    paces.push_back(pace);
    inner.submit(priority, std::move(work), std::move(done));
  }
  device::InlineStream inner;
  std::vector<Duration> paces;
};

class HostTest : public testing::Test {
 protected:
  ~HostTest() override {
    stop(neighbour_);
    if (host_) stop(host_);
    coordinator_.run();
  }

  void spawn(plan::ActorId id, std::unique_ptr<Task> task, Trace trace = {}) {
    Registers registers;
    for (const plan::Edge& edge : plan_.edges)
      registers[edge.id] = std::make_shared<Register>(edge.name, edge.slots, edge.bytes);
    HostSetup setup{&plan_, &plan_.actors[id], &stream_, &events_,
                    &wire_, std::move(trace),  pace_,    &mailboxes_};
    host_ = spawn_host(system_, std::move(setup), std::move(task), std::move(registers));
    begin(host_, {{0, neighbour_}, {3, neighbour_}});
    coordinator_.run();
  }
  /// What the peer says, then everything that follows from it.
  void arrive(std::uint64_t sequence, bool empty = false) {
    Token token;
    token.empty = empty;
    arrived(host_, kWire, sequence, std::move(token));
    coordinator_.run();
  }
  void credit() {
    credited(host_, kWire);
    coordinator_.run();
  }
  void expect_failure(Code code, const std::string& actor) {
    ASSERT_EQ(events_.failures.size(), 1u);
    EXPECT_EQ(events_.failures[0].first, actor);
    EXPECT_EQ(events_.failures[0].second.code, code);
  }

  static constexpr plan::EdgeId kWire = 1;
  static constexpr plan::ActorId kSender = 1, kReceiver = 2;
  plan::Plan plan_ = wire_plan("none", 2, 4096);
  RecordedEvents events_;
  RecordedWire wire_;
  RecordedStream stream_;
  std::vector<Duration> pace_;
  TestingConfig config_;
  caf::actor_system system_{config_};
  caf::scheduler::test_coordinator& coordinator_ =
      dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  Mailboxes mailboxes_;
  caf::actor neighbour_ = system_.spawn<Deaf>();
  caf::actor host_;
};

TEST_F(HostTest, GivesCreditBackForWhatItPassedOn) {
  spawn(kReceiver, std::make_unique<Script>());
  arrive(0);
  arrive(1);
  EXPECT_EQ(wire_.credits, 2);
  arrive(2);  // waits: both slots behind are taken
  arrive(3);
  EXPECT_EQ(wire_.credits, 2);
  EXPECT_TRUE(events_.failures.empty());
}

TEST_F(HostTest, RefusesATokenBeyondTheCredit) {
  spawn(kReceiver, std::make_unique<Script>());
  for (std::uint64_t sequence = 0; sequence < 4; ++sequence) arrive(sequence);
  ASSERT_TRUE(events_.failures.empty());
  arrive(4);
  expect_failure(Code::kProto, "actor-2");
}

TEST_F(HostTest, RefusesATokenThatWasLeftOutOrRepeated) {
  spawn(kReceiver, std::make_unique<Script>());
  arrive(1);
  expect_failure(Code::kProto, "actor-2");
}

TEST_F(HostTest, RefusesARepeatedToken) {
  spawn(kReceiver, std::make_unique<Script>());
  arrive(0);
  arrive(0);
  expect_failure(Code::kProto, "actor-2");
}

TEST_F(HostTest, RefusesMoreCreditThanSlots) {
  spawn(kSender, std::make_unique<Script>());
  credit();
  expect_failure(Code::kProto, "actor-1");
}

TEST_F(HostTest, ReportsOneFailureAndFiresNoMore) {
  std::vector<std::uint64_t> fired;
  spawn(kReceiver, std::make_unique<Script>(Error{Code::kPoison, "here", "broken"}),
        [&](const plan::Actor&, std::size_t, std::uint64_t firing) { fired.push_back(firing); });
  arrive(0);
  arrive(1);
  arrive(7);
  expect_failure(Code::kPoison, "actor-2");
  EXPECT_EQ(fired, std::vector<std::uint64_t>{0});
  EXPECT_EQ(wire_.credits, 0);
}

TEST_F(HostTest, RefusesATokenLargerThanPlanned) {
  struct TooLarge final : Task {
    Status run(Firing& firing) override {
      firing.outputs[0]->tensors = {
          ops::Tensor::zeros(firing.context.pool(), ops::DType::kF32, {1025})};
      return {};
    }
  };
  spawn(kReceiver, std::make_unique<TooLarge>());
  arrive(0);
  expect_failure(Code::kTensor, "actor-2");
}

TEST_F(HostTest, KeepsThePaceOfItsDeviceExceptForWhatIsEmpty) {
  using namespace std::chrono_literals;
  pace_ = {5ms};
  spawn(kReceiver, std::make_unique<Script>());
  arrive(0);
  arrive(1, true);
  EXPECT_EQ(stream_.paces, (std::vector<Duration>{0ms, 5ms, 0ms}));  // the first: start()
}

TEST_F(HostTest, KeepsWhatItsTaskWantsKeptWithoutTheStream) {
  using namespace std::chrono_literals;
  struct Keeping final : Task {
    Status run(Firing& firing) override {
      firing.keep = 20ms;
      return {};
    }
  };
  spawn(kReceiver, std::make_unique<Keeping>());
  arrive(0);
  arrive(1);
  const auto after = [this](Duration time) {
    coordinator_.advance_time(time);
    coordinator_.run();
    return wire_.credits;
  };
  EXPECT_EQ(wire_.credits, 0);
  EXPECT_EQ(stream_.paces.size(), 2u);  // start(), and one firing
  EXPECT_EQ(after(19ms), 0);
  EXPECT_EQ(after(1ms), 1);
  EXPECT_EQ(stream_.paces.size(), 3u);
  EXPECT_EQ(after(20ms), 2);
}

TEST_F(HostTest, NotesHowFullItsMailboxWasAndRefusesMoreThanCreditAllows) {
  const std::size_t bound = mailbox_bound(plan_, plan_.actors[kReceiver]);
  EXPECT_EQ(bound, 2u + 2u + 4u) << "two slots at each end, and what its crew says";
  spawn(kReceiver, std::make_unique<Script>());
  Token token;
  for (std::uint64_t sequence = 0; sequence < 2; ++sequence) arrived(host_, kWire, sequence, token);
  coordinator_.run();
  EXPECT_EQ(mailboxes_.fullest().actor, "actor-2");
  EXPECT_EQ(mailboxes_.fullest().waiting, 2u);
  EXPECT_EQ(mailboxes_.fullest().bound, bound);
  EXPECT_TRUE(events_.failures.empty());
  for (std::uint64_t sequence = 2; sequence < 3 + bound; ++sequence)
    arrived(host_, kWire, sequence, token);
  coordinator_.run();
  expect_failure(Code::kProto, "actor-2");
  EXPECT_NE(events_.failures[0].second.what.find("more messages than"), std::string::npos);
}

TEST(Mailboxes, RememberTheOneNearestToItsBound) {
  Mailboxes mailboxes;
  EXPECT_EQ(mailboxes.fullest().actor, "");
  mailboxes.note("a", 3, 10);
  mailboxes.note("b", 3, 9);
  mailboxes.note("c", 5, 100);
  mailboxes.note("d", 1, 3);
  EXPECT_EQ(mailboxes.fullest().actor, "b");
  mailboxes.note("a", 4, 10);
  EXPECT_EQ(mailboxes.fullest().actor, "a");
  EXPECT_EQ(mailboxes.fullest().waiting, 4u);
}

TEST_F(HostTest, StandsStillOnceStopped) {
  spawn(kReceiver, std::make_unique<Script>());
  stop(host_);
  coordinator_.run();
  arrive(0);
  EXPECT_EQ(wire_.credits, 0);
  EXPECT_TRUE(events_.failures.empty());
}

}  // namespace
}  // namespace reef::actors
