// The scheduler and the jobs of its clients: planned, queued, given to nodes and ended.

#include "service_rig.h"

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

/// A teacher of one node in the east and students in the west, of one or two nodes that ask.
class School : public SeveralJobs {
 protected:
  void submit_teacher(const std::vector<std::string>& serves, std::uint32_t top_k = 32) {
    job::Job teacher = sample_job(1, 1);
    teacher.name = "wise";
    teacher.model_from = "runs/wise/model";
    teacher.datacenters = {"east"};
    teacher.serves.emplace();
    teacher.serves->jobs = serves;
    teacher.serves->top_k = top_k;
    user_->send(node::submit_message({"runs/wise", job::job_to_json(teacher)}));
  }
  void submit_student(const std::string& name, std::uint32_t dp = 1, std::uint32_t top_k = 16) {
    job::Job student = sample_job(dp, 2 / dp);
    student.name = name;
    student.datacenters = {"west"};
    student.distillation.emplace();
    student.distillation->teachers = {{"wise", 1, job::Teacher::Side::kTarget}};
    student.distillation->top_k = top_k;
    user_->send(node::submit_message({"runs/" + name, job::job_to_json(student)}));
  }
  node::Partners partners_of(const std::string& node, std::uint64_t epoch, std::size_t count) {
    node::Partners partners;
    EXPECT_TRUE(within([&] {
      const auto message = nodes_.at(node)->expect(node::Kind::kPartners);
      if (!message) return false;
      partners = node::read_partners(*message).value();
      return partners.epoch == epoch && partners.partners.size() == count;
    })) << node;
    return partners;
  }
  /// The user is told so last.
  bool refused(const std::string& text) {
    return within([&] {
      const auto message = user_->expect(node::Kind::kFailure);
      return message && node::read_failure(*message)->error.text().find(text) != std::string::npos;
    });
  }
};

TEST_F(School, StudentsWaitForTheirTeacherAndThenTheyMeet) {
  submit_teacher({"other", "keen"});
  const std::uint64_t teacher = epoch_of("node-0", "wise");
  submit_student("keen", 2);
  EXPECT_TRUE(
      within([&] { return reason_of("keen") == "waiting: teacher wise does not serve yet"; }));
  nodes_.at("node-0")->send(node::signal_message(node::Kind::kReady, {teacher, 0, ""}));
  const std::uint64_t student = epoch_of("node-2", "keen");
  const node::Partners of_teacher = partners_of("node-0", teacher, 2);
  EXPECT_EQ(of_teacher.partners[0].island, 1u << 16 | 2u);  // the second job, the third node
  EXPECT_EQ(of_teacher.partners[1].island, 1u << 16 | 3u);
  EXPECT_FALSE(of_teacher.partners[0].dials);
  for (const char* node : {"node-2", "node-3"}) {
    const node::Partners of_student = partners_of(node, student, 1);
    EXPECT_EQ(of_student.meeting, of_teacher.meeting);
    EXPECT_EQ(of_student.partners[0].island, 0u);
    EXPECT_EQ(of_student.partners[0].peer.name, "node-0");
    EXPECT_TRUE(of_student.partners[0].dials);
  }
  // Of a teacher that is gone they hear, and go on.
  nodes_.at("node-0").reset();
  partners_of("node-2", student, 0);
  EXPECT_TRUE(within([&] { return reason_of("wise").starts_with("failed"); }));
  EXPECT_FALSE(reason_of("keen").starts_with("failed"));
}

TEST_F(School, WhoIsNotListedIsRefused) {
  submit_student("keen");
  EXPECT_TRUE(
      refused("E_REFUSED: teacher wise: is no TeacherService that runs or waits here; submit it "
              "before job keen"));
  submit_teacher({"other"}, 8);
  epoch_of("node-0", "wise");
  submit_student("keen");
  EXPECT_TRUE(refused(
      "E_REFUSED: teacher wise: does not serve job keen; its spec.serves.jobs lists other"));
  submit_teacher({"other"});
  EXPECT_TRUE(refused("runs or waits here already"));
  submit_student("other");
  EXPECT_TRUE(refused("says at most 8 tokens of a position, job other asks for 16"));
}

TEST_F(School, StudentsOfATeacherThatNeverCameAreRefused) {
  submit_teacher({"keen"});
  const std::uint64_t teacher = epoch_of("node-0", "wise");
  submit_student("keen");
  EXPECT_TRUE(
      within([&] { return reason_of("keen") == "waiting: teacher wise does not serve yet"; }));
  nodes_.at("node-0")->send(
      node::failure_message({teacher, Error{Code::kPath, "teacher", "no model"}}));
  stop("node-0", teacher);
  EXPECT_TRUE(within([&] { return reason_of("keen").starts_with("failed: E_REFUSED"); }));
}

TEST_F(School, ATeacherThatIsToldToStopHasNoStepToFinish) {
  submit_teacher({"keen"});
  const std::uint64_t teacher = epoch_of("node-0", "wise");
  nodes_.at("node-0")->send(node::signal_message(node::Kind::kReady, {teacher, 0, ""}));
  EXPECT_TRUE(within([&] { return reason_of("wise") == "running: "; }));
  user_->send(node::signal_message(node::Kind::kCancel, {}));
  stop("node-0", teacher);
  EXPECT_TRUE(within([&] { return reason_of("wise").starts_with("stopped"); }));
}

/// A job of two islands of two nodes each; node-0 and node-2 have the outer stores.
class IslandsJob : public SeveralJobs {
 protected:
  void submit_islands(Duration outage = 2min) {
    job::Job job = sample_job(1, 2);
    job.name = "sea";
    job.local_steps.emplace();
    job.local_steps->outage = outage;
    user_->send(node::submit_message({"runs/sea", job::job_to_json(job)}));
  }
  /// What the outer store of a node's job was last told of the others.
  node::Partners partners_of(const std::string& node, std::uint64_t epoch) {
    node::Partners partners;
    EXPECT_TRUE(within([&] {
      const auto message = nodes_.at(node)->expect(node::Kind::kPartners);
      if (!message) return false;
      partners = node::read_partners(*message).value();
      return partners.epoch == epoch && !partners.partners.empty();
    })) << node;
    return partners;
  }
  /// Whether it is told that so many others train and the homes are there.
  bool told_homes(const std::string& node, std::size_t others,
                  const std::vector<job::Home>& homes) {
    return within([&] {
      const auto message = nodes_.at(node)->expect(node::Kind::kPartners);
      if (!message) return false;
      const node::Partners partners = node::read_partners(*message).value();
      return partners.partners.size() == others && partners.company.islands.size() == others &&
             partners.company.homes == homes;
    });
  }
  job::Job job_of(const std::string& node) {
    const auto message = nodes_.at(node)->expect(node::Kind::kAssign);
    const plan::Plan plan = plan::decode(node::read_assign(*message)->plan).value();
    return job::job_from_json(plan.descriptor).value();
  }
  void ready(std::initializer_list<const char*> names, std::uint64_t epoch) {
    for (const char* name : names)
      nodes_.at(name)->send(node::signal_message(node::Kind::kReady, {epoch, 0, ""}));
    EXPECT_TRUE(nodes_.at(*names.begin())->expect(node::Kind::kStart));
  }
  void finish(const std::string& node, std::uint64_t epoch, std::uint64_t step,
              const std::string& folder) {
    node::Progress last;
    last.round.step = step;
    last.round.last = true;
    nodes_.at(node)->send(node::progress_message({epoch, last, {}}));
    nodes_.at(node)->send(node::checkpoint_message({epoch, step, folder}));
  }
  /// At some time; what was said stands in status_.
  bool told_user(const std::string& state, const std::string& reason = "") {
    return user_->hears(node::Kind::kStatus, [&](const link::Message& message) {
      status_ = node::read_status(message).value();
      return status_.state == state && status_.reason.find(reason) != std::string::npos;
    });
  }

  node::JobStatus status_;
};

TEST_F(IslandsJob, BeginTogetherAndKnowOfEachOther) {
  submit("a", "west");
  const std::uint64_t a = epoch_of("node-2", "a");
  submit_islands();
  EXPECT_TRUE(within([&] { return reason_of("sea in east") == "waiting: job a has its nodes"; }));
  nodes_.at("node-2")->send(
      node::failure_message({a, Error{Code::kData, "loader/r0", "ends early"}}));
  stop("node-2", a);
  stop("node-3", a);
  const std::uint64_t east = epoch_of("node-0", "sea"), west = epoch_of("node-2", "sea");
  EXPECT_NE(east, west);
  const node::Partners of_east = partners_of("node-0", east), of_west = partners_of("node-2", west);
  EXPECT_EQ(of_east.meeting, of_west.meeting);
  ASSERT_EQ(of_east.partners.size(), 1u);
  EXPECT_EQ(of_east.partners[0].island, 1u);
  EXPECT_EQ(of_east.partners[0].peer.name, "node-2");
  EXPECT_TRUE(of_east.partners[0].dials);
  EXPECT_EQ(of_west.partners[0].peer.name, "node-0");
  EXPECT_FALSE(of_west.partners[0].dials);
}

TEST_F(IslandsJob, GoesOnWithoutOneThatIsLostAndLetsItComeBack) {
  submit_islands();
  const std::uint64_t east = epoch_of("node-0", "sea"), west = epoch_of("node-2", "sea");
  ready({"node-0", "node-1"}, east);
  node::Progress half;
  half.round.step = 50;
  nodes_.at("node-1")->send(node::progress_message({east, half, {}}));
  nodes_.at("node-3").reset();
  stop("node-2", west);
  EXPECT_TRUE(
      told_user("running", "the others go on without sea in west: E_PEER_LOST: node node-3"));
  const std::vector<job::Home> moved{{0, 0}, {0, 1}};
  EXPECT_TRUE(told_homes("node-0", 0, moved));
  nodes_["node-3"] = node_again("node-3");
  std::uint64_t again = west;
  EXPECT_TRUE(within([&] { return (again = epoch_of("node-2", "sea")) > west; }));
  const job::Job job = job_of("node-2");
  EXPECT_EQ(job.island->begun, 1u);
  EXPECT_EQ(job.island->first_step, 50u);
  EXPECT_TRUE(told_homes("node-2", 1, moved));
  EXPECT_TRUE(told_homes("node-0", 1, moved));

  // Both come to their end; what counts is theirs.
  ready({"node-2", "node-3"}, again);
  finish("node-1", east, 100, "runs/sea/east/checkpoints/step-00000100");
  stop("node-0", east);
  stop("node-1", east);
  EXPECT_TRUE(told_homes("node-2", 0, {{1, 2}, {1, 3}}));
  finish("node-3", again, 100, "runs/sea/west/checkpoints/step-00000100");
  stop("node-2", again);
  stop("node-3", again);
  EXPECT_TRUE(told_user("succeeded"));
  EXPECT_EQ(status_.checkpoint, "runs/sea/west/checkpoints/step-00000100");
  EXPECT_TRUE(within([&] { return reason_of("sea").starts_with("succeeded"); }));
}

/// The job of those that are left is the job.
TEST_F(IslandsJob, EndsWithoutOneThatIsStillAway) {
  submit_islands();
  const std::uint64_t east = epoch_of("node-0", "sea"), west = epoch_of("node-2", "sea");
  ready({"node-0", "node-1"}, east);
  nodes_.at("node-3")->send(
      node::checkpoint_message({west, 60, "runs/sea/west/checkpoints/step-00000060"}));
  nodes_.at("node-3").reset();
  stop("node-2", west);
  EXPECT_TRUE(told_user("running", "the others go on without sea in west"));
  finish("node-1", east, 100, "runs/sea/east/checkpoints/step-00000100");
  stop("node-0", east);
  stop("node-1", east);
  EXPECT_TRUE(told_user("succeeded"));
  EXPECT_EQ(status_.checkpoint, "runs/sea/east/checkpoints/step-00000100");
  submit("c", "east");
  EXPECT_GT(epoch_of("node-0", "c"), east);
}

TEST_F(IslandsJob, FailsWithTheLastThatTrains) {
  submit_islands();
  const std::uint64_t east = epoch_of("node-0", "sea"), west = epoch_of("node-2", "sea");
  for (const auto& [node, epoch] : {std::pair{"node-2", west}, {"node-0", east}})
    nodes_.at(node)->send(
        node::failure_message({epoch, Error{Code::kData, "loader/r0", "ends early"}}));
  stop("node-2", west);
  stop("node-3", west);
  stop("node-0", east);
  stop("node-1", east);
  EXPECT_TRUE(user_->expect(node::Kind::kFailure));
  EXPECT_TRUE(told_user("failed"));
}

/// Whoever is away when the user stops the job does not come back to it.
TEST_F(IslandsJob, IsStoppedWithWhoeverIsAway) {
  submit_islands();
  const std::uint64_t east = epoch_of("node-0", "sea"), west = epoch_of("node-2", "sea");
  ready({"node-0", "node-1"}, east);
  nodes_.at("node-3").reset();
  EXPECT_TRUE(told_user("running", "the others go on without sea in west"));
  user_->send(node::signal_message(node::Kind::kCancel, {}));  // node-2 is still in an act
  EXPECT_TRUE(nodes_.at("node-0")->expect(node::Kind::kHold));
  stop("node-2", west);
  nodes_["node-3"] = node_again("node-3");
  submit("b", "west");
  EXPECT_GT(epoch_of("node-2", "b"), west);  // not the island again
}

/// Its nodes cannot be reached for a while.
class IslandOutOfReach : public IslandsJob {
 protected:
  IslandOutOfReach() { silence_ = 1s; }
  void begin(Duration outage) {
    submit_islands(outage);
    east_ = epoch_of("node-0", "sea"), west_ = epoch_of("node-2", "sea");
    ready({"node-0", "node-1"}, east_);
    ready({"node-2", "node-3"}, west_);
  }
  void cut(const std::string& node, const std::string& island = "sea in west") {
    nodes_.at(node)->fall_silent();
    EXPECT_TRUE(told_user("running", island + " may go on by itself: node " + node));
  }
  void fall_silent_and_come_back(const std::string& node) {
    nodes_.at(node)->fall_silent();
    EXPECT_TRUE(nodes_.at("node-3")->expect(node::Kind::kRelease));
    std::this_thread::sleep_for(silence_ + 500ms);
    heal(node, {west_});
  }
  void heal(const std::string& node, std::vector<std::uint64_t> holds) {
    nodes_[node] = node_again(node, std::move(holds));
  }
  std::uint64_t east_ = 0, west_ = 0;
};

TEST_F(IslandOutOfReach, IsAsItWasWhenItIsBack) {
  begin(2min);
  cut("node-2");
  cut("node-3");
  heal("node-3", {west_});
  heal("node-2", {west_});
  const std::vector<job::Home> unmoved{{0, 0}, {1, 0}};
  EXPECT_TRUE(told_homes("node-2", 1, unmoved));
  EXPECT_TRUE(told_homes("node-0", 1, unmoved));
  EXPECT_TRUE(told_user("running", "node node-2 is back"));
  // Whether the first has come nobody knows.
  EXPECT_TRUE(nodes_.at("node-2")->expect(node::Kind::kStart));
  EXPECT_TRUE(reason_of("sea in west").starts_with("running"));
  finish("node-3", west_, 100, "runs/sea/west/checkpoints/step-00000100");
  stop("node-2", west_);
  stop("node-3", west_);
  finish("node-1", east_, 100, "runs/sea/east/checkpoints/step-00000100");
  stop("node-0", east_);
  stop("node-1", east_);
  EXPECT_TRUE(told_user("succeeded"));
}

TEST_F(IslandOutOfReach, IsGivenUpAfterTheOutageAndThenHasNothingToGoOnWith) {
  begin(500ms);
  cut("node-2");
  EXPECT_TRUE(told_user("running", "the others go on without sea in west"));
  EXPECT_TRUE(told_homes("node-0", 0, {{0, 0}, {0, 1}}));
  stop("node-3", west_);
  heal("node-2", {west_});
  // Not two crews at a time.
  EXPECT_TRUE(told_user("waiting", "node node-2 still ends what it has gone on with"));
  stop("node-2", west_);
  EXPECT_TRUE(within([&] { return epoch_of("node-2", "sea") > west_; }));
  EXPECT_EQ(job_of("node-2").island->begun, 1u);
}

TEST_F(IslandOutOfReach, IsLostWhenItsProcessHasBegunAnew) {
  begin(2min);
  cut("node-2");
  heal("node-2", {});
  EXPECT_TRUE(told_user("running", "its process has begun anew"));
  stop("node-3", west_);
  EXPECT_TRUE(within([&] { return epoch_of("node-2", "sea") > west_; }));
}

/// What the user wants meanwhile is said when it is back, and what was decided stays.
TEST_F(IslandOutOfReach, HearsOfAStopWhenItIsBack) {
  begin(2min);
  cut("node-2");
  user_->send(node::signal_message(node::Kind::kCancel, {}));
  EXPECT_TRUE(nodes_.at("node-3")->expect(node::Kind::kHold));
  heal("node-2", {west_});
  EXPECT_TRUE(nodes_.at("node-2")->expect(node::Kind::kHold));
  const auto held = [&](std::uint64_t step) {
    nodes_.at("node-2")->send(node::signal_message(node::Kind::kHeld, {west_, step, "loader/r0"}));
  };
  const auto released = [&](const std::string& node) {
    const auto message = nodes_.at(node)->expect(node::Kind::kRelease);
    return message ? node::read_signal(*message)->step : 0;
  };
  held(7);
  EXPECT_EQ(released("node-3"), 8u);
  fall_silent_and_come_back("node-2");
  EXPECT_EQ(released("node-2"), 8u);
  held(8);
  EXPECT_EQ(released("node-2"), 8u);
}

/// Others hear of each other as before.
TEST_F(IslandOutOfReach, IsStillAPartner) {
  begin(2min);
  cut("node-2");
  cut("node-0", "sea in east");
  heal("node-0", {east_});
  EXPECT_TRUE(told_homes("node-0", 1, {{0, 0}, {1, 0}}));
}

/// A stop waits for nobody.
TEST_F(IslandOutOfReach, EndsWithoutItWhenSomethingElseFails) {
  begin(2min);
  cut("node-2");
  nodes_.at("node-3")->send(
      node::failure_message({west_, Error{Code::kData, "loader/r0", "ends early"}}));
  stop("node-3", west_);
  submit("b", "west");
  EXPECT_TRUE(within([&] { return reason_of("b") == "waiting: node node-2 has not registered"; }));
  heal("node-2", {west_});
  stop("node-2", west_);
  EXPECT_GT(epoch_of("node-2", "b"), west_);
}

/// Who says that it goes on with a job that nobody goes on with is told to stop.
TEST_F(IslandOutOfReach, IsNoPlaceForLies) {
  submit("a", "west");
  const std::uint64_t a = epoch_of("node-2", "a");
  nodes_.at("node-2").reset();
  heal("node-2", {a, 77});
  EXPECT_TRUE(nodes_.at("node-2")->hears(node::Kind::kStop, [&](const link::Message& message) {
    return node::read_signal(message)->epoch == 77;
  }));
  nodes_.at("node-3")->send(node::hello_message({"127.0.0.1", 9, Reach::kAnywhere, {a}}));
  EXPECT_TRUE(nodes_.at("node-3")->expect_closed());
}

/// Another connection of the same node is nobody's loss.
TEST_F(IslandOutOfReach, IsNotLostWithAConnectionTooMany) {
  begin(2min);
  const auto another = node_again("node-2");
  EXPECT_TRUE(another->expect_closed());
  finish("node-3", west_, 100, "runs/sea/west/checkpoints/step-00000100");
  stop("node-2", west_);
  stop("node-3", west_);
  EXPECT_TRUE(within([&] { return reason_of("sea in west").starts_with("succeeded"); }));
}

TEST_F(IslandsJob, IsWithdrawnAsAWhole) {
  submit("a", "west");
  const std::uint64_t a = epoch_of("node-2", "a");
  const auto other = client("other");
  job::Job job = sample_job(1, 2);
  job.name = "sea";
  job.local_steps.emplace();
  other->send(node::submit_message({"runs/sea", job::job_to_json(job)}));
  EXPECT_TRUE(within([&] { return reason_of("sea in east") == "waiting: job a has its nodes"; }));
  other->send(node::signal_message(node::Kind::kCancel, {}));
  const auto failure = other->expect(node::Kind::kFailure);
  ASSERT_TRUE(failure);
  EXPECT_EQ(node::read_failure(*failure)->error.code, Code::kCancelled);
  submit("c", "east");
  EXPECT_GT(epoch_of("node-0", "c"), a);
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
