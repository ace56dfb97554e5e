// The scheduler and those who dial it: enrolment, revocation, renewal.

#include "service_rig.h"

namespace reef::service {
namespace {

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
