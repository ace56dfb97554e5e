// Who may come over UCX.

#include "runtime/node/over_ucx.h"

#include <gtest/gtest.h>

#include "member.h"
#include "tests/conformance/rig.h"

namespace reef::node {
namespace {

using link::secure::Purpose;
using security::Role;

/// Two nodes with a sealed link between them that was dialled for some purpose.
class OverUcx : public testing::Test {
 protected:
  using Outcome = std::optional<Result<link::Streams>>;

  ~OverUcx() override {
    loop_.call([this] {
      left_.reset();
      right_.reset();
    });
  }

  /// Both ends go over to UCX.
  void join(const char* left_datacenter, const char* right_datacenter, Purpose purpose,
            std::shared_ptr<link::ucx::Context> context) {
    const Identity left = member(authority_, "left", left_datacenter),
                   right = member(authority_, "right", right_datacenter);
    auto [a, b] = link::inproc::pair(loop_, loop_);
    const auto go = [this, context](const Identity& identity, bool dialled, Outcome& outcome) {
      return [this, context, identity, dialled, &outcome](auto sealed) {
        ASSERT_TRUE(sealed.ok()) << sealed.error().text();
        link::Streams alone;
        alone.push_back(std::move(*sealed));
        to_ucx(loop_, context, identity, std::move(alone), dialled,
               system_clock().now() + std::chrono::seconds(10), [this, &outcome](auto streams) {
                 meeting_.change([&] { outcome.emplace(std::move(streams)); });
               });
      };
    };
    link::secure::accept(std::move(b), right.local, kNoDeadline, go(right, false, right_));
    link::secure::connect(std::move(a), left.local, {right.credential.noise_key, Role::kNode},
                          {.stream = 0, .streams = 1, .bundle = {}, .purpose = purpose},
                          kNoDeadline, go(left, true, left_));
    ASSERT_TRUE(meeting_.wait([this] { return left_ && right_; }, nullptr));
  }

  link::Loop loop_;
  link::Meeting meeting_;
  const security::Authority authority_ = security::Authority::generate();
  Outcome left_, right_;
};

TEST_F(OverUcx, JoinsNodesOfOneDatacenterUnderASealOfTheirOwn) {
  join("east", "east", Purpose::kUcx, link::ucx_context("ucx_shm"));
  ASSERT_TRUE(left_->ok()) << left_->error().text();
  ASSERT_TRUE(right_->ok()) << right_->error().text();
  const auto &left = (**left_)[0], &right = (**right_)[0];
  EXPECT_EQ(left->peer().name, "right");
  EXPECT_EQ(right->peer().name, "left");
  EXPECT_EQ(left->handshake_hash(), right->handshake_hash());
  EXPECT_TRUE(left->peer_name().starts_with("right (ucx over right")) << left->peer_name();
}

TEST_F(OverUcx, RefusesAnotherDatacenter) {
  join("east", "west", Purpose::kUcx, link::ucx_context("ucx_shm"));
  ASSERT_FALSE(left_->ok() || right_->ok());
  EXPECT_EQ(left_->error().code, Code::kRefused);
  EXPECT_EQ(right_->error().code, Code::kRefused);
}

TEST_F(OverUcx, RefusesALinkThatWasDialledForSomethingElse) {
  join("east", "east", Purpose::kWork, link::ucx_context("ucx_shm"));
  ASSERT_FALSE(left_->ok() || right_->ok());
  EXPECT_EQ(right_->error().code, Code::kProto);
}

TEST_F(OverUcx, IsNotUsedByANodeThatDoesNotOfferIt) {
  join("east", "east", Purpose::kUcx, nullptr);
  ASSERT_FALSE(left_->ok() || right_->ok());
  EXPECT_EQ(right_->error().code, Code::kUsage);
  EXPECT_NE(right_->error().what.find("--ucx"), std::string::npos);
}

}  // namespace
}  // namespace reef::node
