// The scheduler and the islands of a job: together, lost, out of reach, and back.

#include "several_jobs.h"

namespace reef::service {
namespace {

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

}  // namespace
}  // namespace reef::service
