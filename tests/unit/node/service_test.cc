// The scheduler and those who dial it, over real sockets: enrolment, revocation, renewal.

#include "scheduler/service/service.h"

#include <atomic>
#include <fstream>
#include <future>
#include <set>
#include <thread>

#include "runtime/base/file.h"
#include "runtime/link/tcp/tcp.h"
#include "runtime/node/enrol.h"
#include "scheduler/plan/encoding.h"
#include "security/audit/verify.h"
#include "tests/unit/scheduler/samples.h"
#include "tests/unit/scratch_folder.h"

namespace reef::service {
namespace {

using namespace std::chrono_literals;
using security::NodeKey;
using security::Role;

/// A member's channel to the scheduler, on a thread of its own.
class Dialler {
 public:
  using Sealed = Result<std::unique_ptr<link::secure::SecureLink>>;

  Status dial(const node::Identity& identity, std::uint16_t port) {
    auto promise = std::make_shared<std::promise<Status>>();
    auto future = promise->get_future();
    const Deadline deadline = loop_.clock().now() + 10s;
    link::tcp::dial(loop_, "127.0.0.1", port, deadline,
                    [this, &identity, deadline, promise](auto plain) {
                      if (!plain.ok()) return promise->set_value(plain.error());
                      link::secure::connect(std::move(*plain), identity.local,
                                            {identity.scheduler, Role::kScheduler}, {}, deadline,
                                            [this, promise](Sealed sealed) {
                                              if (!sealed.ok())
                                                return promise->set_value(sealed.error());
                                              talk(std::move(*sealed));
                                              promise->set_value({});
                                            });
                    });
    return future.get();
  }
  ~Dialler() {
    channel_.reset();
    loop_.stop();
  }
  void send(link::Message message) {
    channel_->send(std::move(message), kNoDeadline, [](const Status&) {});
  }
  /// Waits for a message of this kind.
  std::optional<link::Message> expect(node::Kind kind) {
    std::optional<link::Message> found;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 10s, [&] {
      for (const link::Message& message : messages_) {
        if (message.kind == static_cast<std::uint16_t>(kind)) found = message;
      }
      return found.has_value();
    });
    return found;
  }
  bool closed() {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  bool expect_closed() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [this] { return closed_; });
  }

 private:
  void talk(std::unique_ptr<link::secure::SecureLink> link) {
    channel_ = link::Channel::create(std::move(link));
    channel_->start(
        [this](link::Message message) {
          const std::lock_guard lock(mutex_);
          messages_.push_back(std::move(message));
          changed_.notify_all();
        },
        [this](const Error&) {
          const std::lock_guard lock(mutex_);
          closed_ = true;
          changed_.notify_all();
        });
  }
  link::Loop loop_;
  std::unique_ptr<link::Channel> channel_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<link::Message> messages_;
  bool closed_ = false;
};

class ServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto scheduler = NodeKey::generate();
    ASSERT_TRUE(node::write_identity(folder_ / "scheduler", *authority_, "scheduler",
                                     Role::kScheduler, "hq", scheduler, scheduler.noise_key())
                    .ok());
    start();
  }
  void start() {
    identity_ = node::load_identity(folder_ / "scheduler").value();
    identity_.local.unix_now = [this] { return link::secure::system_unix_now() + ahead_; };
    audit_ = security::AuditLog::open(folder_ / "audit.log", identity_.local.key,
                                      link::secure::system_unix_now)
                 .value();
    service_ = std::make_unique<Service>(
        identity_, topology_, Store::open(folder_ / "db").value(),
        ServiceOptions{"127.0.0.1", 0, {authority_, audit_, folder_ / "roster"}, measured_});
    port_ = service_->start().value();
    store_ = Store::open(folder_ / "db").value();
  }
  std::shared_ptr<const security::EnrolmentToken> token(Role role = Role::kNode,
                                                        const std::string& datacenter = "east") {
    return std::make_shared<const security::EnrolmentToken>(
        create_token(*store_, identity_.local.key->noise_key(), role, datacenter,
                     link::secure::system_unix_now(), 900)
            .value());
  }
  /// A node of the topology that has said hello.
  std::unique_ptr<Dialler> node_named(const std::string& name, Reach dialable) {
    auto node = std::make_unique<Dialler>();
    const auto place = std::ranges::find(topology_.nodes, name, &topology::Node::name);
    EXPECT_TRUE(node->dial(enrolled(name, place->datacenter), port_).ok());
    const std::uint16_t port = dialable == Reach::kNowhere ? 0 : 9;
    node->send(node::hello_message({"127.0.0.1", port, dialable}));
    return node;
  }
  /// With the identity that it has already.
  std::unique_ptr<Dialler> node_again(const std::string& name) {
    auto node = std::make_unique<Dialler>();
    EXPECT_TRUE(node->dial(node::load_identity(folder_ / name).value(), port_).ok());
    node->send(node::hello_message({"127.0.0.1", 9, Reach::kAnywhere}));
    return node;
  }
  std::unique_ptr<Dialler> client() {
    EXPECT_TRUE(
        node::enrol_into(folder_ / "user", options("user", Role::kClient), token(Role::kClient))
            .ok());
    auto client = std::make_unique<Dialler>();
    EXPECT_TRUE(client->dial(node::load_identity(folder_ / "user").value(), port_).ok());
    return client;
  }
  node::EnrolOptions options(const std::string& name, Role role = Role::kNode) const {
    return {"127.0.0.1", port_, name, role};
  }
  node::Identity enrolled(const std::string& name, const std::string& datacenter = "east") {
    const auto result =
        node::enrol_into(folder_ / name, options(name), token(Role::kNode, datacenter));
    EXPECT_TRUE(result.ok()) << result.error().text();
    return node::load_identity(folder_ / name).value();
  }
  void revoke(const security::Roster& roster) {
    ASSERT_TRUE(
        write_file(folder_ / "roster", as_bytes(security::sign_roster(roster, *authority_).value()))
            .ok());
  }
  /// The service may be about to say it: the peer hears of a refusal at the same moment.
  bool recorded(const std::string& what) {
    return within([&] { return count(what) > 0; });
  }
  std::size_t count(const std::string& what) {
    audit_->flush();
    const std::string log = read_file(folder_ / "audit.log").value();
    std::size_t found = 0;
    for (auto at = log.find(what); at != log.npos; at = log.find(what, at + 1)) ++found;
    return found;
  }
  template <typename Condition>
  static bool within(Condition condition) {
    const Time until = system_clock().now() + 5s;
    do {
      if (condition()) return true;
      std::this_thread::yield();
    } while (system_clock().now() < until);
    return false;
  }

  ScratchFolder folder_;
  std::shared_ptr<const security::Authority> authority_ =
      std::make_shared<const security::Authority>(security::Authority::generate());
  node::Identity identity_;
  topology::Topology topology_;
  decltype(ServiceOptions::measured) measured_;
  std::shared_ptr<security::AuditLog> audit_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Store> store_;
  std::uint16_t port_ = 0;
  std::atomic<std::uint64_t> ahead_{0};  ///< the scheduler's clock, in seconds
};

TEST_F(ServiceTest, EnrolsAMachineThatThenIsAMember) {
  const auto identity = enrolled("east-0");
  EXPECT_EQ(identity.name, "east-0");
  EXPECT_EQ(identity.datacenter, "east");
  Dialler member;
  ASSERT_TRUE(member.dial(identity, port_).ok());
  EXPECT_TRUE(recorded("\tenrolled\teast-0\t"));
}

TEST_F(ServiceTest, EnrolsAgainWithTheSameKeyWhenTheAnswerWasLost) {
  // Nobody is there: the key is on the disk all the same.
  const node::EnrolOptions nobody{"127.0.0.1", 1, "east-0", Role::kNode};
  ASSERT_FALSE(node::enrol_into(folder_ / "east-0", nobody, token()).ok());
  const auto key = NodeKey::load(folder_ / "east-0" / "node.key").value();
  // The token is consumed and the name given, and the machine does not hear of it.
  ASSERT_TRUE(node::enrol(options("east-0"), key, token()).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "east-0" / "credential"));
  EXPECT_EQ(enrolled("east-0").local.key->id(), key.id());
}

TEST_F(ServiceTest, TellsWhoeverHasABadTokenTheSameAndKeepsTheKeyAlone) {
  const auto used = token();
  ASSERT_TRUE(node::enrol_into(folder_ / "east-0", options("east-0"), used).ok());
  const auto wrong_role = token(Role::kClient);
  auto foreign = std::make_shared<security::EnrolmentToken>(
      security::EnrolmentToken::generate(NodeKey::generate().noise_key()));
  auto unknown = std::make_shared<security::EnrolmentToken>(
      security::EnrolmentToken::generate(identity_.local.key->noise_key()));
  std::set<std::string> texts;
  for (const std::shared_ptr<const security::EnrolmentToken>& bad :
       {used, wrong_role, std::shared_ptr<const security::EnrolmentToken>(foreign),
        std::shared_ptr<const security::EnrolmentToken>(unknown)}) {
    const auto result = node::enrol_into(folder_ / "east-1", options("east-1"), bad);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, Code::kRefused);
    texts.insert(result.error().text());
    const auto files = std::filesystem::directory_iterator(folder_ / "east-1");
    EXPECT_EQ(std::distance(begin(files), end(files)), 1);
    EXPECT_TRUE(NodeKey::load(folder_ / "east-1" / "node.key").ok());
  }
  EXPECT_EQ(texts.size(), 1u);
  EXPECT_TRUE(recorded("was used already, by east-0"));
  EXPECT_TRUE(recorded("is for a client, and a node came with it"));
  EXPECT_TRUE(recorded("is not known here"));
  EXPECT_TRUE(recorded("handshake-refused"));
}

TEST_F(ServiceTest, EnrolsOneOfTwoAtOnce) {
  const auto ticket = token();
  std::atomic<int> won{0};
  std::vector<std::thread> machines;
  for (int i = 0; i < 4; ++i) {
    machines.emplace_back([&, i] {
      const std::string name = "twin-" + std::to_string(i);
      if (node::enrol_into(folder_ / name, options(name), ticket).ok()) ++won;
    });
  }
  for (std::thread& machine : machines) machine.join();
  EXPECT_EQ(won, 1);
}

TEST_F(ServiceTest, RenewsOverTheSealedChannel) {
  auto identity = enrolled("east-0");
  Dialler member;
  ASSERT_TRUE(member.dial(identity, port_).ok());
  ahead_ = 13 * 3600;
  member.send(node::signal_message(node::Kind::kRenew, {}));
  const auto answer = member.expect(node::Kind::kIssued);
  ASSERT_TRUE(answer);
  const auto issued = node::read_issued(*answer).value();
  const auto before = identity.credential;
  ASSERT_TRUE(node::take_issued(identity, issued.credential, issued.policy).ok());
  EXPECT_NE(identity.credential.serial, before.serial);
  ASSERT_TRUE(node::save_credential(identity).ok());
  Dialler again;
  EXPECT_TRUE(again.dial(node::load_identity(folder_ / "east-0").value(), port_).ok());
  EXPECT_TRUE(recorded("\trenewed\teast-0\t"));
}

void ask_often(Dialler& member) {
  for (int i = 0; i < 50; ++i) member.send(node::signal_message(node::Kind::kRenew, {}));
}

TEST_F(ServiceTest, RenewsNoSoonerAndNoOftenerThanItMust) {
  const auto identity = enrolled("east-0");
  Dialler member;
  ASSERT_TRUE(member.dial(identity, port_).ok());
  ask_often(member);
  member.send(node::submit_message({"runs/x", "{}"}));
  ASSERT_TRUE(member.expect_closed());
  EXPECT_TRUE(recorded("policy-denied"));
  EXPECT_EQ(count("\trenewed\t"), 0u);
  ahead_ = 13 * 3600;
  Dialler again;
  ASSERT_TRUE(again.dial(identity, port_).ok());
  ask_often(again);
  again.send(node::submit_message({"runs/x", "{}"}));
  ASSERT_TRUE(again.expect_closed());
  EXPECT_TRUE(within([&] { return count("policy-denied") == 2; }));
  EXPECT_EQ(count("\trenewed\t"), 1u);
}

TEST_F(ServiceTest, RefusesARenewalOnceInAWhile) {
  const auto identity = enrolled("east-0");
  service_.reset();
  audit_.reset();
  authority_ = nullptr;
  start();
  ahead_ = 13 * 3600;
  Dialler member;
  ASSERT_TRUE(member.dial(identity, port_).ok());
  ask_often(member);
  member.send(node::submit_message({"runs/x", "{}"}));
  ASSERT_TRUE(member.expect_closed());
  EXPECT_TRUE(recorded("policy-denied"));
  EXPECT_EQ(count("renewal-refused"), 1u);
}

TEST_F(ServiceTest, ARosterEndsASessionSpreadsAndOutlivesItsFile) {
  const auto revoked = enrolled("east-0");
  const auto other = enrolled("east-1");
  Dialler one, two;
  ASSERT_TRUE(one.dial(revoked, port_).ok());
  ASSERT_TRUE(two.dial(other, port_).ok());
  revoke({1, {}, {revoked.credential.node_id()}});
  EXPECT_TRUE(one.expect_closed());
  const auto spread = two.expect(node::Kind::kRoster);
  ASSERT_TRUE(spread);
  EXPECT_EQ(
      security::verify_roster(as_text(spread->payload.view()), authority_->public_key())->version,
      1u);
  Dialler back;
  EXPECT_EQ(back.dial(revoked, port_).error().code, Code::kRefused);
  EXPECT_TRUE(recorded("session-dropped\teast-0"));

  // Neither taking the file away nor putting an older one lets it in again.
  service_.reset();
  audit_.reset();
  std::filesystem::remove(folder_ / "roster");
  start();
  Dialler later;
  EXPECT_EQ(later.dial(revoked, port_).error().code, Code::kRefused);
  Dialler third;
  ASSERT_TRUE(third.dial(other, port_).ok());
  EXPECT_TRUE(third.expect(node::Kind::kRoster)) << "who comes later hears of it, too";
}

TEST_F(ServiceTest, DoesNotStartWithAnOlderRoster) {
  revoke({5, {1}, {}});
  service_.reset();
  start();
  service_.reset();
  audit_.reset();
  revoke({4, {}, {}});
  audit_ = security::AuditLog::open(folder_ / "audit.log", identity_.local.key,
                                    link::secure::system_unix_now)
               .value();
  Service service(identity_, topology::Topology{}, Store::open(folder_ / "db").value(),
                  {"127.0.0.1", 0, {authority_, audit_, folder_ / "roster"}});
  const auto started = service.start();
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code, Code::kRefused);
  EXPECT_TRUE(recorded("roster-refused"));
}

TEST_F(ServiceTest, TakesTheNewestRosterOfDatabaseAndFolder) {
  const auto identity = enrolled("east-0");
  const auto restart_with = [&](const security::Roster& roster) {
    service_.reset();
    audit_.reset();
    const std::string text = security::sign_roster(roster, *authority_).value();
    ASSERT_TRUE(node::save_roster(folder_ / "scheduler", text).ok());
    start();
  };
  restart_with({1, {}, {}});
  Dialler member;
  EXPECT_TRUE(member.dial(identity, port_).ok());
  restart_with({2, {}, {identity.credential.node_id()}});
  Dialler revoked;
  EXPECT_EQ(revoked.dial(identity, port_).error().code, Code::kRefused);
  // The folder's is older now than what the database remembers, and that is no error.
  restart_with({1, {}, {}});
  Dialler later;
  EXPECT_EQ(later.dial(identity, port_).error().code, Code::kRefused);
}

TEST_F(ServiceTest, ReadsARosterFileWhoseSizeAndTimeStayedTheSame) {
  const auto identity = enrolled("east-0");
  Dialler member;
  ASSERT_TRUE(member.dial(identity, port_).ok());
  const auto path = folder_ / "roster";
  const auto in_place = [&](const security::Roster& roster) {
    std::ofstream(path) << security::sign_roster(roster, *authority_).value();
  };
  in_place({1, {}, {NodeKey::generate().id()}});
  ASSERT_TRUE(recorded("\troster\tversion 1\t"));
  const auto time = std::filesystem::last_write_time(path);
  in_place({2, {}, {identity.credential.node_id()}});
  std::filesystem::last_write_time(path, time);
  EXPECT_TRUE(member.expect_closed());
}

TEST_F(ServiceTest, LetsNoNodeStandForOneOfAnotherDatacenter) {
  service_.reset();
  audit_.reset();
  topology_.nodes = {{.name = "east-0", .datacenter = "east"},
                     {.name = "east-1", .datacenter = "west"}};
  start();
  Dialler right, wrong;
  ASSERT_TRUE(right.dial(enrolled("east-0"), port_).ok());
  ASSERT_TRUE(wrong.dial(enrolled("east-1"), port_).ok());
  right.send(node::hello_message({"127.0.0.1", 7000}));
  wrong.send(node::hello_message({"127.0.0.1", 7001}));
  EXPECT_TRUE(wrong.expect_closed());
  EXPECT_FALSE(right.closed());
}

/// Three nodes in a row of stages; the first and the last share weights.
class RoutedJob : public ServiceTest {
 protected:
  RoutedJob() { topology_ = sample_topology(3); }
  void submit(Dialler& client) {
    client.send(node::submit_message({"runs/x", job::job_to_json(sample_job(1, 3))}));
  }
};

TEST_F(RoutedJob, GoesThroughTheNodeThatBothCanDial) {
  const auto first = node_named("node-0", Reach::kNowhere);
  const auto middle = node_named("node-1", Reach::kAnywhere);
  const auto last = node_named("node-2", Reach::kDatacenter);
  const auto user = client();
  submit(*user);
  const auto message = first->expect(node::Kind::kAssign);
  ASSERT_TRUE(message);
  const plan::Plan plan = plan::decode(node::read_assign(*message)->plan).value();
  const std::vector<plan::Route> routes{
      {0, 1, std::nullopt}, {0, 2, plan::NodeIndex{1}}, {2, 1, std::nullopt}};
  EXPECT_EQ(plan.routes, routes);
  EXPECT_EQ(plan.nodes[2].dialable, Reach::kDatacenter);

  // A line is measured from where it can be dialled.
  user->send(node::test_line_message({"node-1", "node-0", {1}, "", 1}));
  const auto refused = user->expect(node::Kind::kFailure);
  ASSERT_TRUE(refused);
  EXPECT_EQ(node::read_failure(*refused)->error.code, Code::kUsage);
  user->send(node::test_line_message({"node-0", "node-1", {1}, "", 1}));
  EXPECT_TRUE(first->expect(node::Kind::kProbeLine));
}

TEST_F(RoutedJob, IsPlannedByWhatWasMeasuredWithinADatacenter) {
  const auto first = node_named("node-0", Reach::kAnywhere);
  const auto middle = node_named("node-1", Reach::kAnywhere);
  const auto last = node_named("node-2", Reach::kAnywhere);
  const auto user = client();
  // node-0 and node-1 stand in one datacenter. A long way needs more messages on it than two.
  user->send(node::test_line_message({"node-0", "node-1", {1}, "", 1}));
  const auto asked = first->expect(node::Kind::kProbeLine);
  ASSERT_TRUE(asked);
  link::LineReport report;
  report.round_trip = 1s;
  report.trials.push_back({.streams = 1, .rate = 1e9});
  first->send(node::line_result_message({node::read_probe_line(*asked)->ticket, report}));
  ASSERT_TRUE(user->expect(node::Kind::kLineResult));
  submit(*user);
  const auto message = first->expect(node::Kind::kAssign);
  ASSERT_TRUE(message);
  plan::Plan plan = plan::decode(node::read_assign(*message)->plan).value();
  EXPECT_GT(edge_named(plan, "hidden.r0.s0/wire").slots, 2u);
}

/// Two nodes in each of two datacenters, each of which a job can have for itself.
class SeveralJobs : public ServiceTest {
 protected:
  SeveralJobs() { topology_ = sample_topology(4); }
  void SetUp() override {
    ServiceTest::SetUp();
    for (const topology::Node& node : topology_.nodes)
      nodes_[node.name] = node_named(node.name, Reach::kAnywhere);
    user_ = client();
  }
  void submit(const std::string& name, const std::string& datacenter) {
    job::Job job = sample_job(1, 2);
    job.name = name;
    job.datacenters = {datacenter};
    user_->send(node::submit_message({"runs/" + name, job::job_to_json(job)}));
  }
  /// Of the newest job in which the node has a part, once it is this one.
  std::uint64_t epoch_of(const std::string& node, const std::string& job) {
    std::uint64_t epoch = 0;
    EXPECT_TRUE(within([&] {
      const auto message = nodes_.at(node)->expect(node::Kind::kAssign);
      if (!message) return false;
      const plan::Plan plan = plan::decode(node::read_assign(*message)->plan).value();
      epoch = plan.epoch;
      return plan.job == job;
    })) << node
        << " has no part in " << job;
    return epoch;
  }
  /// As a node does that was told to.
  void stop(const std::string& node, std::uint64_t epoch) {
    EXPECT_TRUE(within([&] {
      const auto message = nodes_.at(node)->expect(node::Kind::kStop);
      return message && node::read_signal(*message)->epoch == epoch;
    }));
    nodes_.at(node)->send(node::heartbeat_message(node::Kind::kStopped, {epoch, {}}));
  }
  std::string reason_of(const std::string& job) {
    const auto jobs = store_->jobs();
    for (const JobRecord& record : *jobs) {
      if (record.name == job) return record.state + ": " + record.reason;
    }
    return "";
  }

  std::map<std::string, std::unique_ptr<Dialler>> nodes_;
  std::unique_ptr<Dialler> user_;
};

TEST_F(SeveralJobs, RunSideBySideOnNodesThatTheyDoNotShare) {
  submit("a", "east");
  submit("b", "west");
  const std::uint64_t a = epoch_of("node-1", "a"), b = epoch_of("node-2", "b");
  EXPECT_NE(a, b);
  nodes_.at("node-2")->send(
      node::failure_message({b, Error{Code::kData, "loader/r0", "ends early"}}));
  stop("node-2", b);
  stop("node-3", b);
  EXPECT_TRUE(within([&] { return reason_of("b").starts_with("failed: "); }));
  EXPECT_FALSE(reason_of("a").starts_with("failed"));
}

TEST_F(SeveralJobs, WaitForThoseThatHaveTheirNodes) {
  submit("a", "east");
  const std::uint64_t a = epoch_of("node-0", "a");
  submit("c", "east");
  submit("b", "west");
  EXPECT_TRUE(within([&] { return reason_of("c") == "waiting: job a has its nodes"; }));
  epoch_of("node-3", "b");  // overtakes c, whose nodes it does not need
  nodes_.at("node-0")->send(
      node::failure_message({0, Error{Code::kData, "loader/r0", "ends early"}}));
  stop("node-0", a);
  EXPECT_TRUE(within([&] { return reason_of("a").starts_with("failed: "); }));
  EXPECT_EQ(reason_of("c"), "waiting: job a has its nodes");  // node-1 is still in it
  stop("node-1", a);
  EXPECT_GT(epoch_of("node-1", "c"), a);
}

TEST_F(SeveralJobs, GoOnWithoutANodeThatLeftAfterItsJob) {
  submit("a", "east");
  const std::uint64_t a = epoch_of("node-0", "a");
  submit("c", "east");
  nodes_.at("node-1").reset();
  stop("node-0", a);
  EXPECT_TRUE(within([&] { return reason_of("a").find("node node-1") != std::string::npos; }));
  EXPECT_TRUE(within([&] { return reason_of("c") == "waiting: node node-1 has not registered"; }));
  nodes_["node-1"] = node_again("node-1");
  EXPECT_GT(epoch_of("node-1", "c"), a);
}

/// Its scheduler plans when it is told to.
class SlowlyPlannedJob : public RoutedJob {
 protected:
  SlowlyPlannedJob() {
    measured_ = [planned = go_.get_future().share()](topology::Topology topology, nn::Precision) {
      planned.wait();
      return topology;
    };
  }
  std::promise<void> go_;
};

TEST_F(SlowlyPlannedJob, KeepsNobodyWaiting) {
  const auto first = node_named("node-0", Reach::kAnywhere);
  const auto user = client();
  submit(*user);
  const auto middle = node_named("node-1", Reach::kAnywhere);
  const auto last = node_named("node-2", Reach::kAnywhere);
  EXPECT_TRUE(store_->jobs().value().empty());
  go_.set_value();
  EXPECT_TRUE(first->expect(node::Kind::kAssign));
}

TEST_F(SlowlyPlannedJob, IsWithdrawnBeforeItHasAPlan) {
  const auto first = node_named("node-0", Reach::kAnywhere);
  const auto middle = node_named("node-1", Reach::kAnywhere);
  const auto last = node_named("node-2", Reach::kAnywhere);
  const auto user = client();
  submit(*user);
  user->send(node::signal_message(node::Kind::kCancel, {}));
  const auto message = user->expect(node::Kind::kFailure);
  ASSERT_TRUE(message);
  EXPECT_EQ(node::read_failure(*message)->error.code, Code::kCancelled);
  submit(*user);
  go_.set_value();
  EXPECT_TRUE(first->expect(node::Kind::kAssign));
  EXPECT_EQ(store_->jobs().value().size(), 1u);
}

TEST_F(SlowlyPlannedJob, IsForgottenWithItsClient) {
  const auto first = node_named("node-0", Reach::kAnywhere);
  auto user = client();
  submit(*user);
  user.reset();
  service_->shutdown();
  service_->wait();
  go_.set_value();
  service_.reset();
  EXPECT_TRUE(store_->jobs().value().empty());
}

TEST_F(RoutedJob, IsRefusedWhereNobodyCanDial) {
  const auto first = node_named("node-0", Reach::kNowhere);
  const auto middle = node_named("node-1", Reach::kDatacenter);
  const auto last = node_named("node-2", Reach::kNowhere);
  const auto user = client();
  submit(*user);
  const auto message = user->expect(node::Kind::kFailure);
  ASSERT_TRUE(message);
  const Error why = node::read_failure(*message)->error;
  EXPECT_EQ(why.code, Code::kNoFit);
  EXPECT_EQ(why.where, "nodes node-0 and node-2");
}

TEST_F(ServiceTest, RecordsWhatThePolicyDenies) {
  const auto identity = enrolled("east-0");
  Dialler member;
  ASSERT_TRUE(member.dial(identity, port_).ok());
  member.send(node::submit_message({"runs/x", "{}"}));
  EXPECT_TRUE(member.expect_closed());
  EXPECT_TRUE(recorded("policy-denied\teast-0\t"));
  service_.reset();
  audit_.reset();
  EXPECT_TRUE(
      security::verify_audit_log(folder_ / "audit.log", identity_.local.key->identity_key()).ok());
}

}  // namespace
}  // namespace reef::service
