#include "runtime/node/relaying.h"

#include <gtest/gtest.h>

namespace reef::node {
namespace {

security::PublicKey key(int number) { return {static_cast<std::byte>(number)}; }

security::Credential member(const std::string& name, int number) {
  security::Credential who;
  who.name = name;
  who.noise_key = key(number);
  return who;
}

/// Node 1 relays between 0 and 2; 0 and 3 come together directly, 2 and 3 at another relay.
class Relaying : public testing::Test {
 protected:
  Relaying() {
    for (int i = 0; i < 4; ++i) {
      const std::string name = "node-" + std::to_string(i);
      plan.nodes.push_back({name, "here", 1});
      assign.peers.push_back({name, "host", 1, to_bytes(key(i)), 1, ""});
    }
    plan.routes = {{0, 2, plan::NodeIndex{1}}, {0, 3, std::nullopt}, {2, 3, plan::NodeIndex{0}}};
    assign.epoch = 7;
    assign.node = 1;
  }
  Code verdict(const security::Credential& who, const link::relay::Join& join) const {
    const Status status = may_be_joined(plan, assign, who, join);
    return status.ok() ? Code::kInternal : status.error().code;
  }
  plan::Plan plan;
  Assign assign;
};

TEST_F(Relaying, JoinsTheTwoEndsOfARouteThroughHere) {
  EXPECT_TRUE(may_be_joined(plan, assign, member("node-0", 0), {7, key(2), 0}).ok());
  EXPECT_TRUE(may_be_joined(plan, assign, member("node-2", 2), {7, key(0), 64}).ok());
}

TEST_F(Relaying, DeniesAllElse) {
  EXPECT_EQ(verdict(member("node-0", 0), {6, key(2), 0}), Code::kFenced);
  const std::pair<security::Credential, link::relay::Join> rows[] = {
      {member("node-0", 0), {7, key(3), 0}},  // directly
      {member("node-2", 2), {7, key(3), 0}},  // elsewhere
      {member("node-0", 0), {7, key(0), 0}},  // itself
      {member("node-0", 0), {7, key(9), 0}},  // nobody
      {member("node-0", 9), {7, key(2), 0}},  // the name with another key
      {member("node-9", 0), {7, key(2), 0}},  // the key with another name
      {member("node-3", 3), {7, key(2), 0}},  // not an end of the route
      {member("node-1", 1), {7, key(2), 0}},  // this node
  };
  for (std::size_t i = 0; i < std::size(rows); ++i)
    EXPECT_EQ(verdict(rows[i].first, rows[i].second), Code::kRefused) << "row " << i;
  plan.routes[0].relay.reset();
  EXPECT_EQ(verdict(member("node-0", 0), {7, key(2), 0}), Code::kRefused);
}

}  // namespace
}  // namespace reef::node
