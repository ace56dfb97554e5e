#pragma once
// The thread on which a process's links live.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "runtime/link/executor.h"

namespace reef::link {

/// One epoll thread: posted tasks, timers and readiness of file descriptors.
/// Thread: see Executor; watch, rewatch and unwatch on the loop's thread only.
/// Memory: it outlives every link made on it.
/// Failure: a handler never blocks and never throws; a slow one delays every link of the loop.
class Loop final : public Executor {
 public:
  /// Called with the epoll events that are ready.
  using Ready = std::function<void(std::uint32_t events)>;

  /// Starts the thread. The clock must run with the machine's (tests of time use the simulation).
  explicit Loop(const Clock& clock = system_clock());
  ~Loop() override;

  void post(Task task) override;
  TimerId at(Time when, Task task) override;
  void cancel(TimerId timer) override;
  void call(Task task) override;
  bool here() const override;
  const Clock& clock() const override { return clock_; }

  void watch(int fd, std::uint32_t events, Ready ready);
  void rewatch(int fd, std::uint32_t events);
  void unwatch(int fd);

  /// Runs `work`, which may block, on the helper thread, in the order of the calls: names that are
  /// resolved, identities that are saved. Its output is a task that it posts. stop() waits for
  /// all; after it, here and now.
  void run_blocking(Task work);

  /// Ends the thread and joins it; then destroys timers and runs what is still posted, inline. Not
  /// from the loop's own thread. Idempotent.
  void stop();

 private:
  struct Watch {
    std::uint64_t id;
    Ready ready;
  };

  void run();
  void help();
  bool run_tasks();
  void run_timers();
  int wait_ms();
  void wake();

  const Clock& clock_;
  int epoll_ = -1;
  int event_ = -1;
  std::mutex mutex_;  ///< guards the members up to the blank line
  std::vector<Task> tasks_;
  std::map<std::pair<Time, TimerId>, Task> timers_;
  std::unordered_map<TimerId, Time> timer_times_;
  TimerId next_timer_ = 1;
  std::deque<Task> blocking_;
  bool helping_ = true;
  std::thread helper_;  ///< from the first work on
  std::condition_variable more_blocking_;

  // Loop's thread only.
  std::unordered_map<std::uint64_t, std::shared_ptr<Watch>> watches_;
  std::unordered_map<int, std::uint64_t> watches_by_fd_;
  std::uint64_t next_watch_ = 1;

  std::atomic<bool> awake_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> stopped_{false};
  std::atomic<std::thread::id> id_;
  std::thread thread_;
};

}  // namespace reef::link
