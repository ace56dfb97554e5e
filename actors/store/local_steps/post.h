#pragma once
// Where what other islands write waits for the outer store of this one. The crew puts it in, on the
// node's loop; the store takes it out when it fires.

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/clock.h"
#include "runtime/node/letter.h"
#include "scheduler/job/local_steps.h"

namespace reef::actors {

/// Thread: any. Order: as it came. Memory: at most `limit` bytes of an island's letters, which are
/// more than an honest one has to say; of one that writes more all are thrown away, as if its
/// channel had been lost and come back.
class Post {
 public:
  explicit Post(std::size_t limit) : limit_(limit) {}

  struct Event {
    std::uint32_t island = 0;
    std::optional<bool> present;  ///< the channel is there or lost; none: a letter
    node::Letter letter;
  };

  void put(Event event) {
    const std::lock_guard lock(mutex_);
    const std::uint32_t island = event.island;
    std::size_t& bytes = bytes_[island];
    bytes += sizeof event + event.letter.payload.size() + event.letter.codec.size();
    events_.push_back(std::move(event));
    if (bytes > limit_) {
      const bool is_there = events_.back().present.value_or(true);
      std::erase_if(events_, [island](const Event& one) { return one.island == island; });
      events_.push_back({island, false, {}});
      if (is_there) events_.push_back({island, true, {}});
      bytes = 0;
    }
    changed_.notify_all();
  }

  /// What the scheduler says of the other islands; only the last of it counts.
  void put(job::Company company) {
    const std::lock_guard lock(mutex_);
    company_ = std::move(company);
    changed_.notify_all();
  }
  std::optional<job::Company> take_company() {
    const std::lock_guard lock(mutex_);
    return std::exchange(company_, std::nullopt);
  }

  /// All that has come. Waits for the first of it, or for company, as long as `patience`, unless it
  /// is closed.
  std::vector<Event> take(Duration patience = {}) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [this] { return closed_ || company_ || !events_.empty(); });
    bytes_.clear();
    return std::exchange(events_, {});
  }

  /// What the island's metrics and its store, which are on one node, tell each other: a held-out
  /// loss; and how many steps lie between two tellings of a fragment at present.
  void evaluated(double loss) {
    const std::lock_guard lock(mutex_);
    if (losses_.size() < kMostLosses) losses_.push_back(loss);
  }
  std::vector<double> take_losses() {
    const std::lock_guard lock(mutex_);
    return std::exchange(losses_, {});
  }
  void set_interval(std::uint64_t steps) {
    const std::lock_guard lock(mutex_);
    interval_ = steps;
  }
  std::uint64_t interval() const {
    const std::lock_guard lock(mutex_);
    return interval_;
  }

  /// Nobody waits any longer.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  static constexpr std::size_t kMostLosses = 64;  ///< more than there are between two rounds

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  const std::size_t limit_;
  std::map<std::uint32_t, std::size_t> bytes_;  ///< of letters, by island
  std::vector<Event> events_;
  std::optional<job::Company> company_;
  std::vector<double> losses_;
  std::uint64_t interval_ = 0;
  bool closed_ = false;
};

}  // namespace reef::actors
