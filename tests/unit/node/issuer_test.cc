#include "scheduler/service/issuer.h"

#include <atomic>
#include <optional>
#include <thread>

#include "runtime/node/enrol.h"
#include "runtime/node/sessions.h"
#include "security/crypto/text.h"
#include "security/identity/request.h"
#include "tests/unit/scratch_folder.h"

namespace reef::service {
namespace {

using security::NodeKey;
using security::Role;

class IssuerTest : public testing::Test {
 protected:
  IssuerTest() {
    const auto scheduler = NodeKey::generate();
    EXPECT_TRUE(node::write_identity(folder_ / "scheduler", *authority_, "scheduler",
                                     Role::kScheduler, "hq", scheduler, scheduler.noise_key())
                    .ok());
    identity_ = node::load_identity(folder_ / "scheduler").value();
    identity_.local.unix_now = [this] { return now_; };
    store_ = Store::open(folder_ / "scheduler.db").value();
    issuer_.emplace(*store_, identity_, authority_);
  }
  security::EnrolmentToken token(Role role = Role::kNode) {
    return create_token(*store_, identity_.local.key->noise_key(), role, "east", now_, 900).value();
  }
  /// What a machine sends with this token.
  static Bytes message(const security::EnrolmentToken& token, const NodeKey& key,
                       const std::string& name = "east-0", Role role = Role::kNode) {
    const Bytes request = security::sign_request(key, role, name, "-").value();
    return to_bytes(node::enrol_message(token, request).view());
  }
  Result<Issuer::Issued> enrol(const security::EnrolmentToken& token, const NodeKey& key,
                               const Bytes& message) {
    return issuer_->enrol(security::token_name(token.id), key.noise_key(), message, roster_);
  }
  static void expect_refused(const Result<Issuer::Issued>& result, const std::string& why) {
    ASSERT_FALSE(result.ok()) << why;
    EXPECT_NE(result.error().text().find(why), std::string::npos) << result.error().text();
  }

  ScratchFolder folder_;
  std::shared_ptr<const security::Authority> authority_ =
      std::make_shared<const security::Authority>(security::Authority::generate());
  std::uint64_t now_ = link::secure::system_unix_now();
  node::Identity identity_;
  std::unique_ptr<Store> store_;
  security::Roster roster_;
  NodeKey key_ = NodeKey::generate();
  std::optional<Issuer> issuer_;
};

TEST_F(IssuerTest, GivesATokensHolderACredentialOnce) {
  const auto ticket = token();
  const auto issued = enrol(ticket, key_, message(ticket, key_));
  ASSERT_TRUE(issued.ok()) << issued.error().text();
  const auto grant = security::parse_grant(issued->bytes).value();
  const auto credential = security::check_grant(grant, key_, now_).value();
  EXPECT_EQ(credential.name, "east-0");
  EXPECT_EQ(credential.role, Role::kNode);
  EXPECT_EQ(credential.datacenter, "east") << "the token's word, not the machine's";
  EXPECT_EQ(credential.not_after, now_ + 24 * 3600);
  EXPECT_EQ(grant.scheduler, identity_.local.key->noise_key());
  expect_refused(enrol(ticket, key_, message(ticket, key_)), "was used already, by east-0");
  EXPECT_FALSE(issuer_->token_psk(ticket.id).ok());
}

TEST_F(IssuerTest, RefusesWithThePreciseReason) {
  const auto ticket = token();
  expect_refused(issuer_->enrol("nobody", key_.noise_key(), message(ticket, key_), roster_),
                 "is not known here");
  expect_refused(enrol(ticket, key_, Bytes(10)), "too short");
  security::EnrolmentToken forged{ticket.scheduler, ticket.id, security::SecretBytes::random(32)};
  expect_refused(enrol(ticket, key_, message(forged, key_)), "not its secret");
  expect_refused(enrol(ticket, key_, message(ticket, NodeKey::generate())), "for another key");
  expect_refused(enrol(ticket, key_, message(ticket, key_, "laptop", Role::kClient)),
                 "is for a node, and a client came with it");
  expect_refused(enrol(ticket, key_, message(ticket, key_, "x", Role::kScheduler)),
                 "is for a node");
  Bytes unsigned_request = message(ticket, key_);
  unsigned_request.back() ^= std::byte{1};
  expect_refused(enrol(ticket, key_, unsigned_request), "not signed");
  now_ += 901;
  expect_refused(enrol(ticket, key_, message(ticket, key_)), "expired 1 s ago");
  EXPECT_FALSE(issuer_->token_psk(ticket.id).ok());
  now_ -= 901;
  // None of these mistakes has used the token up.
  EXPECT_TRUE(enrol(ticket, key_, message(ticket, key_)).ok());
}

TEST_F(IssuerTest, RefusesARevokedToken) {
  const auto ticket = token();
  ASSERT_TRUE(store_->revoke_token(security::token_name(ticket.id)).ok());
  expect_refused(enrol(ticket, key_, message(ticket, key_)), "was revoked");
  EXPECT_FALSE(store_->revoke_token(security::token_name(ticket.id)).ok());
  EXPECT_FALSE(store_->revoke_token("nobody").ok());
}

TEST_F(IssuerTest, LetsOneOfManyAtOnceWin) {
  const auto ticket = token();
  constexpr int kMany = 8;
  std::atomic<int> won{0};
  std::vector<std::thread> machines;
  for (int i = 0; i < kMany; ++i) {
    machines.emplace_back([&, i] {
      // Each with a database connection of its own, as if they were processes.
      const auto store = Store::open(folder_ / "scheduler.db").value();
      Issuer issuer(*store, identity_, authority_);
      const auto key = NodeKey::generate();
      const auto name = "east-" + std::to_string(i);
      if (issuer
              .enrol(security::token_name(ticket.id), key.noise_key(), message(ticket, key, name),
                     roster_)
              .ok())
        ++won;
    });
  }
  for (std::thread& machine : machines) machine.join();
  EXPECT_EQ(won, 1);
  const auto used = store_->token(security::token_name(ticket.id)).value();
  EXPECT_TRUE(store_->member(used->used_by).value().has_value());
  EXPECT_EQ(used->psk, "") << "nothing to begin a handshake with";
}

TEST_F(IssuerTest, KeepsANameForTheKeyThatHadItFirst) {
  const auto first = token();
  ASSERT_TRUE(enrol(first, key_, message(first, key_)).ok());
  const auto second = token();
  const auto other = NodeKey::generate();
  expect_refused(enrol(second, other, message(second, other)), "belongs to another key");
  roster_.nodes.insert(key_.id());
  EXPECT_TRUE(enrol(second, other, message(second, other)).ok());
  const auto third = token();
  expect_refused(enrol(third, key_, message(third, key_, "another-name")), "was revoked");
}

TEST_F(IssuerTest, LetsTheSameKeyEnrolAgain) {
  const auto first = token();
  ASSERT_TRUE(enrol(first, key_, message(first, key_)).ok());
  const auto second = token();
  EXPECT_TRUE(enrol(second, key_, message(second, key_)).ok());
}

TEST_F(IssuerTest, RenewsTheSameMemberForAnotherLifetime) {
  const auto ticket = token();
  const auto old = enrol(ticket, key_, message(ticket, key_)).value().credential;
  now_ += 13 * 3600;
  const auto renewed = issuer_->renew(old, roster_).value().credential;
  EXPECT_EQ(renewed.not_after, now_ + 24 * 3600);
  EXPECT_NE(renewed.serial, old.serial);
  EXPECT_TRUE(node::check_successor(old, renewed).ok());
  roster_.serials.insert(old.serial);
  EXPECT_FALSE(issuer_->renew(old, roster_).ok());
}

TEST_F(IssuerTest, WithoutAnAuthorityGivesNothing) {
  const auto ticket = token();
  Issuer poor(*store_, identity_, nullptr);
  EXPECT_FALSE(poor.token_psk(ticket.id).ok());
  expect_refused(
      poor.enrol(security::token_name(ticket.id), key_.noise_key(), message(ticket, key_), roster_),
      "atoll keys sign");
  EXPECT_FALSE(poor.renew(identity_.credential, roster_).ok());
}

TEST_F(IssuerTest, MakesNoTokenForASchedulerOrForEver) {
  const auto make = [this](Role role, const std::string& datacenter, std::uint64_t ttl) {
    return create_token(*store_, {}, role, datacenter, now_, ttl).ok();
  };
  EXPECT_FALSE(make(Role::kScheduler, "east", 900));
  EXPECT_FALSE(make(Role::kNode, "", 900));
  EXPECT_FALSE(make(Role::kNode, "a\nb", 900));
  EXPECT_FALSE(make(Role::kNode, "east", 0));
  EXPECT_FALSE(make(Role::kNode, "east", 8 * 24 * 3600));
  EXPECT_TRUE(make(Role::kClient, "east", 900));
  EXPECT_EQ(store_->tokens().value().size(), 1u);
}

TEST_F(IssuerTest, KeepsNoSecretOfAToken) {
  const auto ticket = token();
  const std::string secret = security::to_base64(ticket.secret.view());
  const auto record = store_->token(security::token_name(ticket.id)).value().value();
  EXPECT_NE(record.psk, secret);
  EXPECT_NE(record.verifier, security::to_hex(ticket.secret.view()));
}

}  // namespace
}  // namespace reef::service
