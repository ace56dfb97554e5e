#include "runtime/node/sessions.h"

#include <gtest/gtest.h>

#include "runtime/link/sim/sim.h"
#include "runtime/node/renewal.h"

namespace reef::node {
namespace {

using namespace std::chrono_literals;
using security::Credential;

/// A day and its grace on a simulated clock; wall time starts at kStart and runs with it.
class SessionsTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kStart = 1'000'000;
  static constexpr std::chrono::seconds kLifetime = 24h;

  std::uint64_t now() const {
    return kStart + static_cast<std::uint64_t>(seconds(network_.clock().now() - Time{}));
  }
  Credential credential(std::uint64_t not_after, std::uint64_t serial = 1) const {
    return {authority_.cluster(),  "node-1", key_.noise_key(), key_.identity_key(),
            security::Role::kNode, "here",   not_after,        serial};
  }
  Sessions::Id add(const Credential& credential) {
    return sessions_.add(credential, [this](const Error& why) { dropped_.push_back(why); });
  }
  Bytes issue(const Credential& credential) const { return authority_.issue(credential).value(); }
  std::string roster(const security::Roster& roster) const {
    return security::sign_roster(roster, authority_).value();
  }

  link::sim::SimNetwork network_{1};
  const security::Authority authority_ = security::Authority::generate();
  const security::NodeKey key_ = security::NodeKey::generate();
  const security::ClusterPolicy policy_{1, security::Cipher::kChaChaPoly, kLifetime};
  Sessions sessions_{network_, authority_.public_key(), policy_, [this] { return now(); }};
  std::vector<Error> dropped_;
};

TEST_F(SessionsTest, DropsAPeerAGraceAfterItsCredentialHasExpired) {
  add(credential(kStart + 100));
  network_.run_for(100s + policy_.grace());
  EXPECT_TRUE(dropped_.empty());
  network_.run_for(2s);
  ASSERT_EQ(dropped_.size(), 1u);
  EXPECT_EQ(dropped_[0].code, Code::kRefused);
  EXPECT_NE(dropped_[0].what.find("was not renewed"), std::string::npos);
  network_.run_for(24h);
  EXPECT_EQ(dropped_.size(), 1u) << "once";
  EXPECT_EQ(sessions_.size(), 0u);
}

TEST_F(SessionsTest, KeepsAPeerThatShowsANewerCredential) {
  const auto id = add(credential(kStart + 100));
  network_.run_for(150s);  // in the grace
  ASSERT_TRUE(sessions_.renewed(id, issue(credential(kStart + 5000, 2))).ok());
  network_.run_for(4000s);
  EXPECT_TRUE(dropped_.empty());
  network_.run_for(2000s);
  EXPECT_EQ(dropped_.size(), 1u);
}

TEST_F(SessionsTest, TakesNoCredentialOfSomebodyElseInItsPlace) {
  const auto id = add(credential(kStart + 100));
  const auto refused = [&](Credential other) {
    const Status status = sessions_.renewed(id, issue(other));
    EXPECT_FALSE(status.ok());
  };
  const Credential good = credential(kStart + 5000, 2);
  Credential other = good;
  other.name = "node-2";
  refused(other);
  other = good;
  other.role = security::Role::kScheduler;
  refused(other);
  other = good;
  other.datacenter = "there";
  refused(other);
  other = good;
  other.noise_key = security::NodeKey::generate().noise_key();
  refused(other);
  other = good;
  other.identity_key = security::NodeKey::generate().identity_key();
  refused(other);
  refused(credential(kStart + 99, 2));  // older than what is held
  other = good;
  const auto foreign = security::Authority::generate();
  EXPECT_FALSE(sessions_.renewed(id, foreign.issue(other).value()).ok());
  EXPECT_FALSE(sessions_.renewed(id, Bytes(10)).ok());
  EXPECT_FALSE(sessions_.renewed(id + 1, issue(good)).ok());
  EXPECT_TRUE(sessions_.renewed(id, issue(good)).ok());
}

TEST_F(SessionsTest, DropsTheRevokedAtOnceAndAdmitsThemNoMore) {
  const Credential revoked = credential(kStart + 5000, 7);
  Credential other = revoked;
  other.serial = 8;
  add(revoked);
  add(other);
  EXPECT_TRUE(sessions_.admit(revoked).ok());
  EXPECT_TRUE(sessions_.take_roster(roster({1, {7}, {}})).value());
  ASSERT_EQ(dropped_.size(), 1u) << "before any time has passed, and only the one";
  EXPECT_NE(dropped_[0].what.find("revoked"), std::string::npos);
  EXPECT_EQ(sessions_.admit(revoked).error().code, Code::kRefused);
  EXPECT_TRUE(sessions_.admit(other).ok());
  EXPECT_TRUE(sessions_.take_roster(roster({2, {7}, {key_.id()}})).value());
  EXPECT_EQ(dropped_.size(), 2u);
  EXPECT_EQ(sessions_.admit(other).error().code, Code::kRefused);
  EXPECT_FALSE(sessions_.take_roster(roster({1, {}, {}})).ok()) << "no way back";
  EXPECT_EQ(sessions_.admit(other).error().code, Code::kRefused);
}

TEST_F(SessionsTest, DoesNotTakeARevokedCredentialAsNewer) {
  const auto id = add(credential(kStart + 100));
  ASSERT_TRUE(sessions_.take_roster(roster({1, {9}, {}})).ok());
  EXPECT_FALSE(sessions_.renewed(id, issue(credential(kStart + 5000, 9))).ok());
}

TEST_F(SessionsTest, ADropMayRemoveOthersAndAddNew) {
  const auto first = sessions_.add(credential(kStart + 1), [&](const Error& why) {
    dropped_.push_back(why);
    add(credential(kStart + 1));
  });
  network_.run_for(1s + policy_.grace() + 2s);
  EXPECT_GE(dropped_.size(), 1u);
  sessions_.remove(first);  // long gone: harmless
}

TEST_F(SessionsTest, RenewsBeforeTwoThirdsOfTheLifetimeAreOver) {
  for (int i = 0; i < 200; ++i) {
    Credential own = credential(kStart + static_cast<std::uint64_t>(kLifetime.count()));
    own.name = "node-" + std::to_string(i);
    const std::uint64_t due = renewal_due(own, kLifetime) - kStart;
    EXPECT_GE(due, 12u * 3600);
    EXPECT_LE(due, 15u * 3600) << "and not all at once";
  }
}

TEST_F(SessionsTest, AsksAgainUntilItIsAnswered) {
  std::vector<std::uint64_t> asked;
  Renewal renewal(
      network_, credential(kStart + 24 * 3600), kLifetime, [this] { return now(); },
      [&] { asked.push_back(now() - kStart); });
  network_.run_for(11h);
  EXPECT_TRUE(asked.empty());
  network_.run_for(5h);
  ASSERT_GE(asked.size(), 2u);
  EXPECT_LE(asked[0], 15u * 3600 + 2);
  EXPECT_NEAR(static_cast<double>(asked[1] - asked[0]), 1800, 5);
  renewal.renewed(credential(kStart + 40 * 3600));
  const std::size_t before = asked.size();
  network_.run_for(11h);  // until 27 h; due at 28 h at the earliest
  EXPECT_EQ(asked.size(), before);
  network_.run_for(5h);
  EXPECT_GT(asked.size(), before);
}

}  // namespace
}  // namespace reef::node
