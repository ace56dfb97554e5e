#include "scheduler/plan/route.h"

#include <algorithm>
#include <functional>
#include <sstream>

#include "samples.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/print.h"
#include "scheduler/plan/print_json.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

/// A plan on three nodes, one stage each: the first and the last share the tied weights.
topology::Topology three_nodes(Reach first, Reach middle, Reach last) {
  topology::Topology topology = sample_topology(3);
  topology.nodes[0].dialable = first;
  topology.nodes[1].dialable = middle;
  topology.nodes[2].dialable = last;
  return topology;
}
Result<Plan> on_three(Reach first, Reach middle, Reach last) {
  return make_plan(sample_job(1, 3), three_nodes(first, middle, last));
}

const Route& between(const Plan& plan, NodeIndex low, NodeIndex high) {
  const auto pairs = pairs_of(plan);
  const auto at = std::ranges::find(pairs, std::pair(low, high));
  EXPECT_NE(at, pairs.end());
  return plan.routes[static_cast<std::size_t>(at - pairs.begin())];
}

TEST(Route, LowerDialsWhereItCanAndElseTheHigher) {
  const Plan open = on_three(Reach::kAnywhere, Reach::kAnywhere, Reach::kAnywhere).value();
  ASSERT_EQ(open.routes.size(), 3u);
  for (const Route& route : open.routes) {
    EXPECT_LT(route.dialler, route.acceptor);
    EXPECT_FALSE(route.relay);
  }
  const Plan shy = on_three(Reach::kAnywhere, Reach::kAnywhere, Reach::kNowhere).value();
  EXPECT_EQ(between(shy, 0, 2), (Route{2, 0, std::nullopt}));
  EXPECT_EQ(between(shy, 1, 2), (Route{2, 1, std::nullopt}));
  EXPECT_EQ(between(shy, 0, 1), (Route{0, 1, std::nullopt}));
}

TEST(Route, GoesThroughAThirdWhereNeitherCanDial) {
  const Plan plan = on_three(Reach::kNowhere, Reach::kAnywhere, Reach::kNowhere).value();
  EXPECT_EQ(between(plan, 0, 2), (Route{0, 2, NodeIndex{1}}));
  EXPECT_EQ(between(plan, 0, 1), (Route{0, 1, std::nullopt}));
  EXPECT_EQ(between(plan, 1, 2), (Route{2, 1, std::nullopt}));
  EXPECT_EQ(decode(encode(plan)).value(), plan);
  std::ostringstream text;
  print_plan(plan, text);
  EXPECT_NE(text.str().find("relayed       node-0 and node-2 through node-1\n"), std::string::npos);
  EXPECT_NE(plan_to_json(plan).find("\"relay\": \"node-1\""), std::string::npos);
}

TEST(Route, ReachesItsOwnDatacenterOnly) {
  // east: 0 and 1; west: 2.
  const Plan plan = on_three(Reach::kDatacenter, Reach::kAnywhere, Reach::kDatacenter).value();
  EXPECT_TRUE(can_dial(plan.nodes[1], plan.nodes[0]));
  EXPECT_FALSE(can_dial(plan.nodes[2], plan.nodes[0]));
  EXPECT_EQ(between(plan, 0, 2).relay, NodeIndex{1});
}

TEST(Route, RefusesAPairThatNobodyCanJoin) {
  const auto plan = on_three(Reach::kNowhere, Reach::kDatacenter, Reach::kNowhere);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, Code::kNoFit);
  EXPECT_EQ(plan.error().where, "nodes node-0 and node-2");
  EXPECT_NE(plan.error().what.find("dialable: anywhere"), std::string::npos);
}

TEST(Route, PrefersARelayOfTheirDatacentersThenTheFirstName) {
  topology::Topology topology = three_nodes(Reach::kNowhere, Reach::kNowhere, Reach::kNowhere);
  topology.lines.push_back({"east", "hub", 1e9});
  topology.lines.push_back({"west", "hub", 1e9});
  const auto add = [&](const char* name, const char* datacenter) {
    topology::Node node = topology.nodes[0];
    node.name = name;
    node.datacenter = datacenter;
    node.dialable = Reach::kAnywhere;
    node.relay_only = true;
    topology.nodes.push_back(node);
  };
  const auto relay = [&] {
    const Plan plan = make_plan(sample_job(1, 3), topology).value();
    EXPECT_TRUE(validate(plan).ok());
    return plan.nodes[between(plan, 0, 2).relay.value()].name;
  };
  add("b", "hub");
  EXPECT_EQ(relay(), "b");
  add("a", "hub");
  EXPECT_EQ(relay(), "a");
  add("z", "west");
  EXPECT_EQ(relay(), "z");
  add("y", "east");
  EXPECT_EQ(relay(), "y");
}

TEST(Route, GivesARelayNoPartOfTheModel) {
  topology::Topology topology = three_nodes(Reach::kNowhere, Reach::kAnywhere, Reach::kNowhere);
  topology.nodes[1].relay_only = true;
  const Plan plan = make_plan(sample_job(2, 1), topology).value();
  ASSERT_EQ(plan.nodes.size(), 3u);
  EXPECT_EQ(plan.nodes[2].name, "node-1");
  for (const Actor& actor : plan.actors) EXPECT_NE(actor.node, 2u) << actor.name;
  ASSERT_EQ(plan.routes.size(), 1u);
  EXPECT_EQ(plan.routes[0], (Route{0, 1, NodeIndex{2}}));
}

TEST(Route, IsCheckedWhereAPlanArrives) {
  const Plan good = on_three(Reach::kNowhere, Reach::kAnywhere, Reach::kNowhere).value();
  Route* (*const relayed)(Plan&) = [](Plan& plan) {
    return &*std::ranges::find_if(plan.routes, [](const Route& r) { return r.relay.has_value(); });
  };
  const std::vector<std::function<void(Plan&)>> damages = {
      [](Plan& p) { p.routes.pop_back(); },
      [](Plan& p) { p.routes.push_back(p.routes[0]); },
      [](Plan& p) { std::swap(p.routes[0], p.routes[1]); },
      [](Plan& p) { p.routes[0].acceptor = 4'000'000'000; },
      [](Plan& p) { p.nodes[1].dialable = static_cast<Reach>(3); },
      [](Plan& p) { p.nodes[1].dialable = Reach::kNowhere; },
      [&](Plan& p) { relayed(p)->relay.reset(); },
      [&](Plan& p) { relayed(p)->relay = 0; },
      [&](Plan& p) { relayed(p)->relay = 2; },
      [&](Plan& p) { relayed(p)->relay = 4'000'000'000; },
  };
  for (std::size_t i = 0; i < damages.size(); ++i) {
    Plan plan = good;
    damages[i](plan);
    const Status status = validate(plan);
    ASSERT_FALSE(status.ok()) << "damage " << i;
    EXPECT_EQ(status.error().code, Code::kProto);
  }
}

}  // namespace
}  // namespace reef::plan
