// The scheduler and the jobs of its clients: planned, queued, given to nodes and ended.

#include "several_jobs.h"

namespace reef::service {
namespace {

/// Three nodes in a row of stages; the first and the last share weights.
class RoutedJob : public ServiceTest {
 protected:
  RoutedJob() { topology_ = sample_topology(3); }
  /// The nodes of the stages, in their order.
  struct Row {
    std::unique_ptr<Dialler> first, middle, last;
  };
  Row nodes(Reach first, Reach middle, Reach last) {
    return {node_named("node-0", first), node_named("node-1", middle), node_named("node-2", last)};
  }
  void submit(Dialler& client) {
    client.send(node::submit_message({"runs/x", job::job_to_json(sample_job(1, 3))}));
  }
};

TEST_F(RoutedJob, GoesThroughTheNodeThatBothCanDial) {
  const auto [first, middle, last] = nodes(Reach::kNowhere, Reach::kAnywhere, Reach::kDatacenter);
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
  const auto [first, middle, last] = nodes(Reach::kAnywhere, Reach::kAnywhere, Reach::kAnywhere);
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

TEST_F(SeveralJobs, TakeThePlaceOfOneThatIsWithdrawn) {
  submit("a", "east");
  epoch_of("node-0", "a");
  const auto other = client("other");
  job::Job wide = sample_job(2, 2);
  wide.name = "wide";
  other->send(node::submit_message({"runs/wide", job::job_to_json(wide)}));
  EXPECT_TRUE(within([&] { return reason_of("wide") == "waiting: job a has its nodes"; }));
  submit("b", "west");
  EXPECT_TRUE(within([&] { return reason_of("b") == "waiting: others are before it"; }));
  other->send(node::signal_message(node::Kind::kCancel, {}));
  epoch_of("node-2", "b");
  EXPECT_EQ(reason_of("wide"), "stopped: withdrawn before it began");
}

/// All nodes are told to stop once; what they say of the job afterwards changes nothing.
TEST_F(SeveralJobs, EndAsTheyDidWhateverIsSaidLater) {
  submit("a", "east");
  const std::uint64_t a = epoch_of("node-0", "a");
  for (const char* name : {"node-0", "node-1"})
    nodes_.at(name)->send(node::signal_message(node::Kind::kReady, {a, 0, ""}));
  ASSERT_TRUE(nodes_.at("node-1")->expect(node::Kind::kStart));
  // Of others' jobs nobody may speak.
  nodes_.at("node-2")->send(node::failure_message({a, Error{Code::kData, "loader/r0", "a lie"}}));
  node::Progress last;
  last.round.step = 20;
  last.round.last = true;
  nodes_.at("node-1")->send(node::progress_message({a, last, {}}));
  nodes_.at("node-0")->send(node::checkpoint_message({a, 20, "runs/a/checkpoints/step-00000020"}));
  stop("node-0", a);
  nodes_.at("node-1")->send(
      node::failure_message({a, Error{Code::kPeerLost, "node-0", "said farewell"}}));
  nodes_.at("node-0")->send(node::heartbeat_message(node::Kind::kStopped, {a, {}}));
  EXPECT_TRUE(within([&] { return reason_of("a").starts_with("succeeded"); }));
  stop("node-1", a);
  submit("c", "east");
  EXPECT_GT(epoch_of("node-0", "c"), a);
  EXPECT_TRUE(reason_of("a").starts_with("succeeded"));
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
  const auto [first, middle, last] = nodes(Reach::kAnywhere, Reach::kAnywhere, Reach::kAnywhere);
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
  const auto [first, middle, last] = nodes(Reach::kAnywhere, Reach::kAnywhere, Reach::kAnywhere);
  auto gone = client();
  submit(*gone);
  gone.reset();
  const auto user = client("other");
  submit(*user);
  go_.set_value();
  EXPECT_TRUE(first->expect(node::Kind::kAssign));
  EXPECT_EQ(store_->jobs().value().size(), 1u);
}

TEST_F(SlowlyPlannedJob, IsOneOfAFewThatAClientMayHaveWaiting) {
  const auto user = client();
  for (int i = 0; i < 17; ++i) submit(*user);
  const auto refused = user->expect(node::Kind::kFailure);
  ASSERT_TRUE(refused);
  EXPECT_EQ(node::read_failure(*refused)->error.code, Code::kRefused);
  go_.set_value();
  EXPECT_TRUE(within([this] { return store_->jobs().value().size() == 16; }));
}

TEST_F(RoutedJob, IsRefusedWhereNobodyCanDial) {
  const auto [first, middle, last] = nodes(Reach::kNowhere, Reach::kDatacenter, Reach::kNowhere);
  const auto user = client();
  submit(*user);
  const auto message = user->expect(node::Kind::kFailure);
  ASSERT_TRUE(message);
  const Error why = node::read_failure(*message)->error;
  EXPECT_EQ(why.code, Code::kNoFit);
  EXPECT_EQ(why.where, "nodes node-0 and node-2");
}

}  // namespace
}  // namespace reef::service
