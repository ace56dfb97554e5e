// The handshake of a machine that has a token and no credential.

#include <gtest/gtest.h>

#include "tests/conformance/rig.h"

namespace reef::link {
namespace {

using namespace std::chrono_literals;
using security::Role;

class EnrolmentHandshake : public testing::Test {
 protected:
  using Outcome = std::optional<Result<std::unique_ptr<secure::SecureLink>>>;

  void SetUp() override {
    token_ = security::EnrolmentToken::generate(identities_.scheduler->noise_key());
    scheduler_.token_psk = [this](const security::TokenId& id) { return psk(id); };
    machine_.key = std::make_shared<security::NodeKey>(security::NodeKey::generate());
  }
  Result<security::SecretBytes> psk(const security::TokenId& id) {
    ++asked_;
    if (id != token_.id || expired_) return Error{Code::kRefused, "token", "expired"};
    return security::proof_of(token_.secret.view()).psk;
  }
  void handshake(security::EnrolmentToken token, std::uint16_t stream = secure::kEnrolStream) {
    const security::PublicKey whom = token.scheduler;
    machine_.token = std::make_shared<const security::EnrolmentToken>(std::move(token));
    handshake(whom, stream);
  }
  void handshake(const security::PublicKey& whom, std::uint16_t stream) {
    auto [dialler, acceptor] = network_.connect("machine", "scheduler", {});
    secure::accept(std::move(acceptor), scheduler_, kNoDeadline,
                   [this](auto link) { right_.emplace(std::move(link)); });
    secure::connect(std::move(dialler), machine_, {whom, Role::kScheduler}, {.stream = stream},
                    kNoDeadline, [this](auto link) { left_.emplace(std::move(link)); });
    ASSERT_TRUE(network_.run_while_not([this] { return left_ && right_; }, 20s));
  }
  security::EnrolmentToken copy() const {
    return {token_.scheduler, token_.id, security::SecretBytes::copy_of(token_.secret.view())};
  }

  sim::SimNetwork network_{1};
  Identities identities_;
  secure::Local scheduler_ = identities_.scheduler_local();
  secure::Local machine_;
  security::EnrolmentToken token_;
  bool expired_ = false;
  int asked_ = 0;
  Outcome left_, right_;
};

TEST_F(EnrolmentHandshake, OpensALineToATokensHolder) {
  handshake(copy());
  ASSERT_TRUE(right_->ok()) << right_->error().text();
  ASSERT_TRUE(left_->ok()) << left_->error().text();
  const security::Credential& peer = (**right_)->peer();
  EXPECT_EQ(peer.noise_key, machine_.key->noise_key());
  EXPECT_EQ(peer.name, security::token_name(token_.id));
  EXPECT_EQ(role_name(peer.role), "unknown") << "it is no member yet";
  EXPECT_EQ((**right_)->stream().stream, secure::kEnrolStream);
  Seen seen;
  (**right_)->start([&seen](Bytes frame) { seen.frames.push_back(std::move(frame)); },
                    [](const Error&) {});
  (**left_)->send(to_bytes(as_bytes("request")), kNoDeadline, nullptr);
  network_.run_for(1s);
  ASSERT_EQ(seen.frames.size(), 1u);
}

TEST_F(EnrolmentHandshake, LooksTheSameForEveryBadToken) {
  const auto expect_refused = [this](security::EnrolmentToken token, const std::string& log) {
    left_.reset();
    right_.reset();
    handshake(std::move(token));
    ASSERT_FALSE(left_->ok());
    ASSERT_FALSE(right_->ok());
    EXPECT_EQ(left_->error().code, Code::kPeerLost) << "nothing is said to the peer";
    EXPECT_NE(right_->error().text().find(log), std::string::npos) << right_->error().text();
  };
  auto wrong_secret = copy();
  wrong_secret.secret = security::SecretBytes::random(32);
  expect_refused(std::move(wrong_secret), "does not hold its secret");
  auto unknown = copy();
  unknown.id[0] ^= std::byte{1};
  expect_refused(std::move(unknown), "expired");
  expired_ = true;
  expect_refused(copy(), "expired");
  EXPECT_EQ(scheduler_.counters->established, 0u);
}

TEST_F(EnrolmentHandshake, FailsAtOnceWithTheKeyOfAnotherCluster) {
  auto token = copy();
  token.scheduler = security::NodeKey::generate().noise_key();
  handshake(std::move(token));
  EXPECT_FALSE(left_->ok());
  ASSERT_FALSE(right_->ok());
  EXPECT_EQ(right_->error().code, Code::kProto);
  EXPECT_EQ(asked_, 0) << "no token is looked up for a stranger";
}

TEST_F(EnrolmentHandshake, IsForSchedulersThatEnrolAndForItsOwnStream) {
  scheduler_.token_psk = nullptr;
  handshake(copy());
  ASSERT_FALSE(right_->ok());
  EXPECT_EQ(right_->error().code, Code::kProto);
}

TEST_F(EnrolmentHandshake, GivesNoWayRoundCredentials) {
  // The other way round: a token on an ordinary stream, and an ordinary handshake on this one.
  secure::Local member = identities_.node_local();
  auto [dialler, acceptor] = network_.connect("a", "b", {});
  bool refused = false;
  secure::connect(std::move(dialler), member, identities_.expected(),
                  {.stream = secure::kEnrolStream}, kNoDeadline,
                  [&refused](auto link) { refused = !link.ok(); });
  network_.run_for(1s);
  EXPECT_TRUE(refused);
  machine_.token = std::make_shared<const security::EnrolmentToken>(copy());
  left_.reset();
  right_.reset();
  handshake(copy(), 0);
  EXPECT_FALSE(left_->ok());
  EXPECT_FALSE(right_->ok());
}

TEST_F(EnrolmentHandshake, AlwaysSealsWithChaCha) {
  if (!security::has_aes()) GTEST_SKIP() << "this processor has no AES instructions";
  scheduler_.suite = secure::SuiteId::kAesGcm;  // which the machine cannot know
  handshake(copy());
  EXPECT_TRUE(left_->ok());
}

TEST(AdmitHook, RefusesAMemberWhoseCredentialIsGood) {
  sim::SimNetwork network(1);
  const Identities identities;
  secure::Local scheduler = identities.scheduler_local();
  scheduler.admit = [](const security::Credential& who) -> Status {
    return Error{Code::kRefused, who.name, "revoked"};
  };
  auto [dialler, acceptor] = network.connect("node", "scheduler", {});
  std::optional<Error> left, right;
  secure::accept(std::move(acceptor), scheduler, kNoDeadline,
                 [&right](auto link) { right = link.error(); });
  secure::connect(std::move(dialler), identities.node_local(), identities.expected(), {},
                  kNoDeadline, [&left](auto link) { left = link.error(); });
  ASSERT_TRUE(network.run_while_not([&] { return left && right; }, 20s));
  EXPECT_EQ(left->code, Code::kRefused);
  EXPECT_EQ(right->code, Code::kRefused);
  EXPECT_EQ(right->what, "revoked");
}

}  // namespace
}  // namespace reef::link
