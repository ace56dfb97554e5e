// Nodes of several islands under one scheduler: their crews send letters through real nodes.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <future>
#include <set>

#include "member.h"
#include "runtime/node/node.h"
#include "scheduler/plan/encoding.h"
#include "tests/conformance/rig.h"
#include "tests/unit/scheduler/samples.h"

namespace reef::node {
namespace {
using namespace std::chrono_literals;

constexpr std::uint64_t kMeeting = 50;

/// What the crews of one island have seen, from one job to the next.
struct Mail {
  link::Meeting meeting;
  Wire* wire = nullptr;      ///< while there is a crew
  Events* events = nullptr;  ///< likewise
  int crews = 0;             ///< so far
  std::vector<std::pair<std::uint32_t, Letter>> letters;
  std::vector<std::pair<std::uint32_t, bool>> changes;
  std::vector<job::Company> company;
};

class MailCrew final : public Crew {
 public:
  MailCrew(Mail& mail, const CrewSetup& setup) : mail_(mail) {
    mail_.meeting.change([&] {
      mail_.wire = &setup.wire;
      mail_.events = &setup.events;
      ++mail_.crews;
    });
  }
  ~MailCrew() override {
    mail_.meeting.change([this] {
      mail_.wire = nullptr;
      mail_.events = nullptr;
    });
  }
  void begin() override {}
  void arrived(plan::EdgeId, std::uint64_t, Token) override {}
  void credited(plan::EdgeId) override {}
  void hold() override {}
  void release(std::uint64_t) override {}
  void letter(std::uint32_t island, Letter letter) override {
    mail_.meeting.change([&] { mail_.letters.emplace_back(island, std::move(letter)); });
  }
  void island_changed(std::uint32_t island, bool present) override {
    mail_.meeting.change([&] { mail_.changes.emplace_back(island, present); });
  }
  void company(job::Company company) override {
    mail_.meeting.change([&] { mail_.company.push_back(std::move(company)); });
  }

 private:
  Mail& mail_;
};

/// A scheduler that says what a test wants.
class Teller {
 public:
  explicit Teller(const security::Authority& authority)
      : identity_(member(authority, "scheduler", "hq", security::Role::kScheduler)) {
    listener_ = link::tcp::Listener::listen(loop_, "127.0.0.1", 0, [this](auto plain) {
                  link::secure::accept(std::move(plain), identity_.local, loop_.clock().now() + 10s,
                                       [this](auto sealed) {
                                         if (sealed.ok()) joined(std::move(*sealed));
                                       });
                }).value();
  }
  ~Teller() {
    listener_.reset();
    loop_.call([this] { nodes_.clear(); });
    loop_.stop();
  }

  std::uint16_t port() const { return listener_->port(); }
  const security::PublicKey& key() const { return identity_.credential.noise_key; }
  void tell(const std::string& node, link::Message message) {
    loop_.call([&] { nodes_.at(node)->send(std::move(message), kNoDeadline, nullptr); });
  }
  std::uint16_t port_of(const std::string& node) {
    EXPECT_TRUE(heard_.wait([&] { return ports_.contains(node); }, nullptr));
    return heard_.read<std::uint16_t>([&] { return ports_[node]; });
  }
  bool carried(const std::string& node, std::uint64_t bytes) {
    return heard_.wait([&] { return carried_[node] >= bytes; }, nullptr);
  }
  bool stopped(std::uint64_t epoch) {
    return heard_.wait([&] { return stopped_.contains(epoch); }, nullptr);
  }
  /// Its line is cut, or whatever else ends the connection.
  void cut(const std::string& node) {
    loop_.call([&] { nodes_.erase(node); });
  }
  void stop_listening() { listener_.reset(); }
  bool came_with(const std::string& node, const std::vector<std::uint64_t>& holds) {
    return heard_.wait([&] { return holds_[node] == holds; }, nullptr);
  }
  bool heard_of_step(std::uint64_t step) {
    return heard_.wait([&] { return steps_.contains(step); }, nullptr);
  }
  void forget(const std::string& node) {
    heard_.change([&] { ports_.erase(node); });
  }
  std::vector<std::string> failures() {
    return heard_.read<std::vector<std::string>>([this] { return failures_; });
  }

 private:
  void joined(std::unique_ptr<link::secure::SecureLink> link) {
    const std::string name = link->peer().name;
    auto& channel = nodes_[name];
    channel = link::Channel::create(std::move(link));
    channel->start([this, name](const link::Message& message) { heard(name, message); },
                   [](const Error&) {});
  }
  void heard(const std::string& name, const link::Message& message) {
    heard_.change([&] {
      const auto kind = static_cast<Kind>(message.kind);
      if (kind == Kind::kHello) ports_[name] = read_hello(message)->port;
      if (kind == Kind::kHello) holds_[name] = read_hello(message)->holds;
      if (kind == Kind::kProgress) steps_.insert(read_progress(message)->progress.round.step);
      if (kind == Kind::kHeartbeat) carried_[name] = read_heartbeat(message)->traffic.wire_bytes;
      if (kind == Kind::kStopped) stopped_.insert(read_heartbeat(message)->epoch);
      if (kind == Kind::kFailure) failures_.push_back(read_failure(message)->error.text());
    });
  }

  const Identity identity_;
  link::Loop loop_;
  std::unique_ptr<link::tcp::Listener> listener_;
  std::map<std::string, std::unique_ptr<link::Channel>> nodes_;
  link::Meeting heard_;
  std::map<std::string, std::uint16_t> ports_;
  std::map<std::string, std::vector<std::uint64_t>> holds_;
  std::set<std::uint64_t> steps_;
  std::map<std::string, std::uint64_t> carried_;
  std::set<std::uint64_t> stopped_;
  std::vector<std::string> failures_;
};

/// One node, which is all of its island.
struct Island {
  explicit Island(std::string named) : name(std::move(named)) {}
  const std::string name;
  Key key = new_key();
  Mail mail;
  std::shared_ptr<link::secure::Counters> counters;
  std::unique_ptr<Node> node;
  std::future<Status> outcome;
};

class Islands : public testing::Test {
 protected:
  void TearDown() override {
    for (Island& island : islands_) end(island);
    EXPECT_EQ(teller_.failures(), std::vector<std::string>{});
  }

  void start(Island& island) {
    Identity identity =
        member(authority_, island.name, island.name, security::Role::kNode, island.key);
    identity.scheduler = teller_.key();
    island.counters = identity.local.counters;
    teller_.forget(island.name);
    island.node = std::make_unique<Node>(
        std::move(identity), NodeOptions{"127.0.0.1", teller_.port()},
        [&island](const CrewSetup& setup) -> Result<std::unique_ptr<Crew>> {
          return std::unique_ptr<Crew>(std::make_unique<MailCrew>(island.mail, setup));
        });
    island.outcome = std::async(std::launch::async, [&island] { return island.node->run(); });
    EXPECT_NE(teller_.port_of(island.name), 0);
  }
  void end(Island& island) {
    if (!island.node) return;
    teller_.tell(island.name, signal_message(Kind::kStop, {}));
    EXPECT_TRUE(island.outcome.get().ok());
    island.node.reset();
  }

  Peer peer(const Island& island) {
    return {
        island.name, "127.0.0.1", teller_.port_of(island.name), to_bytes(island.key->noise_key()),
        2,           ""};
  }
  /// Its own job, on its one node.
  void assign(const Island& island, std::uint64_t epoch) {
    topology::Topology topology = sample_topology(1);
    topology.nodes[0].name = island.name;
    job::Job job = sample_job(1, 1);
    if (outage_) {
      job.local_steps.emplace();
      job.local_steps->outage = *outage_;
      job.island = job::Island{0, {"east", "west"}};
    }
    plan::Plan plan = plan::make_plan(job, topology).value();
    plan.epoch = epoch;
    teller_.tell(island.name,
                 assign_message({epoch, 0, {peer(island)}, "runs/x", plan::encode(plan)}));
  }
  /// With all others that have a node; whoever has the larger number dials.
  void introduce(std::uint32_t to, std::uint64_t epoch) {
    Partners partners{epoch, kMeeting, {}};
    for (std::uint32_t i = 0; i < islands_.size(); ++i) {
      partners.company.homes.push_back({i, 0});
      if (i == to || !islands_[i].node) continue;
      partners.partners.push_back({i, to > i, peer(islands_[i])});
      partners.company.islands.insert(i);
    }
    teller_.tell(islands_[to].name, partners_message(partners));
  }
  /// All, each knowing the others. Epochs are 1 for the first of them and so on.
  void start_all(const std::vector<std::string>& names) {
    for (const std::string& name : names) start(islands_.emplace_back(name));
    for (std::uint32_t i = 0; i < islands_.size(); ++i) {
      assign(islands_[i], i + 1);
      introduce(i, i + 1);
    }
    for (std::uint32_t i = 0; i < islands_.size(); ++i) {
      for (std::uint32_t k = 0; k < islands_.size(); ++k) {
        if (i == k) continue;
        EXPECT_TRUE(knows(i, k, true)) << i << " does not see " << k;
      }
    }
  }

  bool send(std::uint32_t from, std::uint32_t to, std::uint64_t number, std::size_t size = 10) {
    Letter letter{3, 4, number, 1000 + number, number % 2, "int8", {}};
    letter.payload.assign(size, static_cast<std::byte>(number));
    return islands_[from].mail.wire->send_letter(to, std::move(letter));
  }
  bool knows(std::uint32_t who, std::uint32_t island, bool present) {
    Mail& mail = islands_[who].mail;
    return mail.meeting.wait(
        [&] {
          const auto last =
              std::find_if(mail.changes.rbegin(), mail.changes.rend(),
                           [&](const auto& change) { return change.first == island; });
          return last != mail.changes.rend() && last->second == present;
        },
        nullptr);
  }
  /// The numbers of the letters of `from`, once there are so many.
  std::vector<std::uint64_t> numbers(std::uint32_t at, std::uint32_t from, std::size_t count) {
    Mail& mail = islands_[at].mail;
    std::vector<std::uint64_t> numbers;
    mail.meeting.wait(
        [&] {
          numbers.clear();
          for (const auto& [island, letter] : mail.letters) {
            if (island == from) numbers.push_back(letter.number);
          }
          return numbers.size() >= count;
        },
        nullptr);
    return numbers;
  }
  /// Handshakes that this one has seen through, its own with the scheduler included.
  bool shook_hands(const Island& island, std::uint64_t times) {
    const Time until = system_clock().now() + 20s;
    while (island.counters->established < times && system_clock().now() < until)
      std::this_thread::yield();
    return island.counters->established >= times;
  }

  const security::Authority authority_ = security::Authority::generate();
  std::optional<Duration> outage_;  ///< of jobs that may go on without the scheduler
  Teller teller_{authority_};
  const std::uint16_t port_ = teller_.port();
  std::deque<Island> islands_;
};

TEST_F(Islands, ExchangeLettersInOrderBothWays) {
  start_all({"east", "west"});
  constexpr std::uint64_t kLetters = 200;
  std::vector<std::uint64_t> all(kLetters);
  for (std::uint64_t number = 0; number < kLetters; ++number) {
    all[number] = number;
    // Over several fragments now and then, so that one could overtake.
    EXPECT_TRUE(send(0, 1, number, number % 10 == 0 ? 300000 : 10));
    EXPECT_TRUE(send(1, 0, number, number % 7 == 0 ? 100000 : 0));
  }
  EXPECT_EQ(numbers(1, 0, kLetters), all);
  EXPECT_EQ(numbers(0, 1, kLetters), all);
  const Letter& some = islands_[1].mail.letters[30].second;
  EXPECT_EQ(some.kind, 3u);
  EXPECT_EQ(some.fragment, 4u);
  EXPECT_EQ(some.tokens, 1030u);
  EXPECT_EQ(some.included, 0u);
  EXPECT_EQ(some.codec, "int8");
  EXPECT_EQ(some.payload, Bytes(300000, std::byte{30}));
}

/// The scheduler hears of what was done meanwhile, and letters pass all the time.
TEST_F(Islands, GoOnWithoutTheScheduler) {
  outage_ = 1min;
  start_all({"east", "west"});
  teller_.cut("west");
  EXPECT_TRUE(send(0, 1, 1));
  EXPECT_EQ(numbers(1, 0, 1), std::vector<std::uint64_t>{1});
  Progress progress;
  progress.round.step = 77;
  islands_[1].mail.events->progress(progress);
  EXPECT_TRUE(teller_.came_with("west", {2}));
  EXPECT_TRUE(teller_.heard_of_step(77));
  EXPECT_EQ(islands_[1].mail.crews, 1);
  EXPECT_NE(islands_[1].mail.wire, nullptr);
  // It still does as it is told.
  teller_.tell("west", signal_message(Kind::kStop, {2, 0, ""}));
  EXPECT_TRUE(teller_.stopped(2));
}

TEST_F(Islands, EndWithoutTheSchedulerAfterTheOutage) {
  outage_ = 500ms;
  start_all({"east", "west"});
  teller_.stop_listening();
  teller_.cut("west");
  const Status ended = islands_[1].outcome.get();
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.error().where, "scheduler 127.0.0.1:" + std::to_string(port_));
  islands_[1].node.reset();
}

/// A job in lock-step is over with its scheduler.
TEST_F(Islands, EndWithTheSchedulerWhereNothingGoesOn) {
  start_all({"east", "west"});
  teller_.cut("west");
  const Status ended = islands_[1].outcome.get();
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.error().where, "scheduler");
  islands_[1].node.reset();
}

TEST_F(Islands, SendASnapshotAndCountItsBytes) {
  start_all({"east", "west"});
  constexpr std::size_t kSize = std::size_t{20} << 20;
  ASSERT_TRUE(send(1, 0, 77, kSize));
  EXPECT_EQ(numbers(0, 1, 1), std::vector<std::uint64_t>{77});
  EXPECT_EQ(islands_[0].mail.letters[0].second.payload, Bytes(kSize, std::byte{77}));
  EXPECT_TRUE(teller_.carried("west", kSize));
}

TEST_F(Islands, MeetEachOtherAsThree) {
  start_all({"east", "south", "west"});
  for (std::uint32_t from = 0; from < 3; ++from) {
    for (std::uint32_t to = 0; to < 3; ++to) EXPECT_EQ(send(from, to, 10 * from + to), from != to);
  }
  for (std::uint32_t from = 0; from < 3; ++from) {
    for (std::uint32_t to = 0; to < 3; ++to) {
      if (from == to) continue;
      EXPECT_EQ(numbers(to, from, 1), std::vector<std::uint64_t>{10 * from + to});
    }
  }
  const job::Company& of_south = islands_[1].mail.company.back();
  EXPECT_EQ(of_south.islands, (std::set<std::uint32_t>{0, 2}));
  EXPECT_EQ(of_south.homes, (std::vector<job::Home>{{0, 0}, {1, 0}, {2, 0}}));
  end(islands_[1]);
  EXPECT_TRUE(knows(0, 1, false) && knows(2, 1, false));
  EXPECT_FALSE(send(0, 1, 1));
  EXPECT_TRUE(send(0, 2, 99));  // which is no concern of theirs
  EXPECT_EQ(numbers(2, 0, 2), (std::vector<std::uint64_t>{2, 99}));
}

/// Which of two islands ends and begins again: the one that dials or the one that waits.
class ReturningIsland : public Islands, public testing::WithParamInterface<std::uint32_t> {};

TEST_P(ReturningIsland, IsMetAgainElsewhere) {
  start_all({"east", "west"});
  const std::uint32_t gone = GetParam(), stays = 1 - gone;
  end(islands_[gone]);
  EXPECT_TRUE(knows(stays, gone, false));
  EXPECT_FALSE(send(stays, gone, 1));
  start(islands_[gone]);
  assign(islands_[gone], 3);
  introduce(gone, 3);
  introduce(stays, stays + 1);
  EXPECT_TRUE(knows(gone, stays, true) && knows(stays, gone, true));
  EXPECT_TRUE(send(stays, gone, 2));
  EXPECT_EQ(numbers(gone, stays, 1), std::vector<std::uint64_t>{2});
}

/// A new job of the island on the node that it had: its epoch is larger than the meeting's number.
TEST_P(ReturningIsland, IsMetAgainOnItsNode) {
  start_all({"east", "west"});
  const std::uint32_t gone = GetParam(), stays = 1 - gone;
  teller_.tell(islands_[gone].name, signal_message(Kind::kStop, {gone + 1, 0, ""}));
  EXPECT_TRUE(knows(stays, gone, false));
  EXPECT_TRUE(teller_.stopped(gone + 1));
  assign(islands_[gone], kMeeting + 1);
  introduce(gone, kMeeting + 1);
  EXPECT_TRUE(knows(stays, gone, true));
  EXPECT_TRUE(send(stays, gone, 5));
  EXPECT_EQ(numbers(gone, stays, 1), std::vector<std::uint64_t>{5});
  EXPECT_TRUE(send(gone, stays, 6));
  EXPECT_EQ(numbers(stays, gone, 1), std::vector<std::uint64_t>{6});
}

INSTANTIATE_TEST_SUITE_P(Both, ReturningIsland, testing::Values(0u, 1u), [](const auto& which) {
  return which.param == 0 ? "WhoWaits" : "WhoDials";
});

TEST_F(Islands, WelcomeAPartnerThatCameTooSoon) {
  for (const char* name : {"east", "west"}) start(islands_.emplace_back(name));
  assign(islands_[1], 2);
  introduce(1, 2);
  EXPECT_TRUE(shook_hands(islands_[0], 1 + 3));  // with the scheduler, and on three streams
  EXPECT_FALSE(send(1, 0, 1));
  assign(islands_[0], 1);
  introduce(0, 1);
  EXPECT_TRUE(knows(0, 1, true) && knows(1, 0, true));
  EXPECT_EQ(islands_[0].counters->established, 1u + 3);  // they are those that waited
  EXPECT_TRUE(send(1, 0, 2));
  EXPECT_EQ(numbers(0, 1, 1), std::vector<std::uint64_t>{2});
}

TEST_F(Islands, RefuseAStrangerOfThatName) {
  for (const char* name : {"east", "west"}) start(islands_.emplace_back(name));
  assign(islands_[0], 1);
  introduce(0, 1);
  end(islands_[1]);
  const Key known = std::exchange(islands_[1].key, new_key());
  start(islands_[1]);
  assign(islands_[1], 2);
  introduce(1, 2);
  // It dials a second time, so the first was refused.
  EXPECT_TRUE(shook_hands(islands_[0], 1 + 6));
  EXPECT_TRUE(
      islands_[0].mail.meeting.read<bool>([this] { return islands_[0].mail.changes.empty(); }));
  EXPECT_TRUE(
      islands_[1].mail.meeting.read<bool>([this] { return islands_[1].mail.changes.empty(); }));
  end(islands_[1]);
  islands_[1].key = known;
  start(islands_[1]);
  assign(islands_[1], 3);
  introduce(1, 3);
  EXPECT_TRUE(knows(0, 1, true) && knows(1, 0, true));
}

}  // namespace
}  // namespace reef::node
