#pragma once
// A whole network in one thread on a simulated clock, from a seed: the same seed, the same run.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <memory_resource>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/link/link.h"

namespace reef::link::sim {

/// One direction of a simulated line.
struct Line {
  Duration delay = std::chrono::milliseconds(1);
  Duration jitter{};           ///< uniform in [0, jitter), per frame; order is kept
  double bits_per_second = 0;  ///< 0 is unlimited
  double loss = 0;  ///< chance that a frame waits for `retransmit`; the links are reliable
  std::size_t window = 16 << 20;  ///< bytes sent and not yet taken by the reader
  Duration retransmit = std::chrono::milliseconds(200);
};

/// The event queue, the clock and the lines. Hosts are just names.
/// Thread: one; nothing here locks. Order: by time, then by creation.
/// Memory: it outlives its links. An event costs O(log n).
class SimNetwork final : public Executor {
 public:
  explicit SimNetwork(std::uint64_t seed);
  ~SimNetwork() override;

  void post(Task task) override;
  TimerId at(Time when, Task task) override;
  void cancel(TimerId timer) override;
  void call(Task task) override { task(); }
  bool here() const override { return true; }
  const Clock& clock() const override { return clock_; }

  /// A connected pair between two hosts; `line` serves both directions, each with its own queue.
  std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>> connect(const std::string& left,
                                                                  const std::string& right,
                                                                  const Line& line);
  /// Breaks every link between two hosts at once: both ends see kPeerLost.
  void cut(const std::string& left, const std::string& right);
  /// Lets nothing pass in either direction, silently, until heal(); then what waited goes on.
  void partition(const std::string& left, const std::string& right);
  void heal(const std::string& left, const std::string& right);

  /// Runs the next event, moving the clock to it; false when there is none.
  bool step();
  /// Runs every event up to and including `until`, and leaves the clock there.
  void run_until(Time until);
  void run_for(Duration duration) { run_until(clock_.now() + duration); }
  /// Runs until `condition` holds; false when the events or `limit` of simulated time ran out.
  bool run_while_not(const std::function<bool()>& condition, Duration limit);
  std::uint64_t events_run() const { return events_run_; }

 private:
  class End;
  using HostPair = std::pair<std::string, std::string>;
  static HostPair host_pair(const std::string& left, const std::string& right);
  void for_each_end(const HostPair& hosts, const std::function<void(End&)>& act);

  ManualClock clock_;
  Random random_;
  std::uint64_t draws_ = 0;
  std::pmr::unsynchronized_pool_resource pool_;  ///< each event is a node of both maps
  std::pmr::map<std::pair<Time, TimerId>, Task> events_{&pool_};
  std::pmr::map<TimerId, Time> times_{&pool_};
  TimerId next_ = 1;
  std::uint64_t events_run_ = 0;
  std::multimap<HostPair, std::weak_ptr<End>> ends_;
  std::set<HostPair> partitioned_;
};

}  // namespace reef::link::sim
