#pragma once
// A whole cluster in one thread: every node's real actors, the real messages between nodes, a
// simulated network and a simulated clock. The same plan and seed give the same run, event by
// event.

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <compare>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/device/cpu.h"
#include "runtime/link/sim/sim.h"
#include "runtime/node/events.h"
#include "scheduler/plan/plan.h"

namespace reef::simulation {

/// The `firing`-th time that an act of an actor began.
struct TraceLine {
  std::int64_t nanoseconds = 0;
  std::string actor;
  std::string act;
  std::uint64_t firing = 0;
  auto operator<=>(const TraceLine&) const = default;
};

/// What the nodes of one run told the outside.
struct Record {
  std::vector<node::Progress> progress;
  std::vector<std::pair<std::uint64_t, std::string>> checkpoints;  ///< step, folder
  std::vector<std::string> failures;
  std::vector<std::pair<std::string, std::uint64_t>> held;  ///< loader, step
  std::vector<TraceLine> trace;
  std::vector<std::pair<std::uint64_t, std::string>> codecs;  ///< step, of each token with tensors
};

/// Tokens alone in the testing scheduler's queue.
struct TestingConfig : caf::actor_system_config {
  TestingConfig() { set("scheduler.policy", caf::atom("testing")); }
};

/// Thread: one. The plan outlives it.
class SimulatedCluster {
 public:
  SimulatedCluster(const plan::Plan& plan, std::uint64_t seed, std::string run_folder,
                   const link::sim::Line& line);
  ~SimulatedCluster();

  /// Makes every node's crew and lets the actors begin.
  Status begin();
  /// Runs all actors that have a message, then one event of the network; false when nothing is
  /// left.
  bool step();
  /// Until nothing is left.
  void run() {
    while (step()) {
    }
  }
  /// Until `rounds` rounds were reported; false when nothing was left before.
  bool run_to_round(std::size_t rounds);

  void hold();
  void release(std::uint64_t step);
  /// Every line between any two nodes, all at once.
  void partition();
  void heal();
  void cut();

  /// What the nodes believe of their lines from now on; the network stays as it is.
  void believe(const link::LineNow& line) { line_now_ = line; }

  const Record& record() const { return record_; }

 private:
  class Member;
  template <typename F>
  void for_each_pair(F&& action);
  void join(const link::sim::Line& line);

  const plan::Plan& plan_;
  std::string run_folder_;
  Record record_;
  link::LineNow line_now_;
  link::sim::SimNetwork network_;
  TestingConfig config_;
  caf::actor_system system_{config_};
  caf::scheduler::test_coordinator& coordinator_;
  device::InlineStream stream_;
  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace reef::simulation
