#include "runtime/link/loop.h"

#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <future>

#include "runtime/base/check.h"

namespace reef::link {
namespace {

constexpr std::uint64_t kWakeUp = 0;  // watch ids begin at 1

/// Frames are made and freed all the time. glibc gives freed pages back to the system from 128 KiB
/// on, and faults them in again for the next frame: several times what it costs to copy one. These
/// are the limits at which it arrives by itself once a process has freed a block of 32 MiB.
void keep_freed_memory() {
  static const bool set =
      mallopt(M_MMAP_THRESHOLD, 32 << 20) == 1 && mallopt(M_TRIM_THRESHOLD, 64 << 20) == 1;
  (void)set;  // if refused, frames are slower
}

}  // namespace

Loop::Loop(const Clock& clock)
    : clock_(clock),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(epoll_ >= 0 && event_ >= 0) << "no descriptors left for a loop";
  keep_freed_memory();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeUp;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event) == 0);
  thread_ = std::thread([this] { run(); });
}

Loop::~Loop() {
  stop();
  ::close(event_);
  ::close(epoll_);
}

void Loop::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  // The loop itself looks before it waits.
  if (std::this_thread::get_id() != id_.load()) wake();
}

void Loop::wake() {
  if (awake_.exchange(true)) return;
  const std::uint64_t one = 1;
  // It can only fail when the counter is full, and then the loop wakes up anyway.
  [[maybe_unused]] const ssize_t n = ::write(event_, &one, sizeof one);
}

TimerId Loop::at(Time when, Task task) {
  TimerId id;
  bool earliest;
  {
    const std::lock_guard lock(mutex_);
    id = next_timer_++;
    earliest = timers_.empty() || when < timers_.begin()->first.first;
    timers_.emplace(std::pair(when, id), std::move(task));
    timer_times_.emplace(id, when);
  }
  if (earliest && std::this_thread::get_id() != id_.load()) wake();
  return id;
}

void Loop::cancel(TimerId timer) {
  Task dropped;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  const auto time = timer_times_.find(timer);
  if (time == timer_times_.end()) return;
  const auto found = timers_.find({time->second, timer});
  dropped = std::move(found->second);
  timers_.erase(found);
  timer_times_.erase(time);
}

bool Loop::here() const { return stopped_.load() || std::this_thread::get_id() == id_.load(); }

void Loop::call(Task task) {
  if (std::this_thread::get_id() == id_.load()) return task();
  std::promise<void> finished;
  bool posted = false;
  {
    // Under the lock, so that stop() either sees the task or has said that it will not.
    const std::lock_guard lock(mutex_);
    if (!stopped_.load()) {
      tasks_.push_back([&task, &finished] {
        task();
        finished.set_value();
      });
      posted = true;
    }
  }
  if (posted) {
    wake();
    finished.get_future().wait();
    return;
  }
  task();
  run_tasks();
}

void Loop::watch(int fd, std::uint32_t events, Ready ready) {
  CHECK(here());
  if (stopped_.load()) return;  // nobody polls any more; `ready` and what it holds end here
  const auto watch = std::make_shared<Watch>(Watch{next_watch_++, std::move(ready)});
  watches_by_fd_[fd] = watch->id;
  watches_[watch->id] = watch;
  epoll_event event{};
  event.events = events;
  event.data.u64 = watch->id;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0) << "epoll refuses descriptor " << fd;
}

void Loop::rewatch(int fd, std::uint32_t events) {
  const auto found = watches_by_fd_.find(fd);
  if (found == watches_by_fd_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = found->second;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void Loop::unwatch(int fd) {
  const auto found = watches_by_fd_.find(fd);
  if (found == watches_by_fd_.end()) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  const auto dropped = watches_.extract(found->second);  // destroyed after the tables are whole
  watches_by_fd_.erase(found);
}

void Loop::run_blocking(Task work) {
  std::unique_lock lock(mutex_);
  if (!helping_) {  // the thread that stops the loop is the one that may wait
    lock.unlock();
    return work();
  }
  blocking_.push_back(std::move(work));
  if (!helper_.joinable()) helper_ = std::thread([this] { help(); });
  more_blocking_.notify_one();
}

void Loop::help() {
  std::unique_lock lock(mutex_);
  while (true) {
    more_blocking_.wait(lock, [this] { return !blocking_.empty() || !helping_; });
    if (blocking_.empty()) return;
    Task work = std::move(blocking_.front());
    blocking_.pop_front();
    lock.unlock();
    work();
    work = nullptr;  // what it holds ends before the next one begins
    lock.lock();
  }
}

int Loop::wait_ms() {
  const std::lock_guard lock(mutex_);
  if (!tasks_.empty()) return 0;
  if (timers_.empty()) return -1;
  const Time next = timers_.begin()->first.first;
  const Time now = clock_.now();
  if (next <= now) return 0;
  if (next == kNoDeadline) return -1;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
  return static_cast<int>(std::min<std::int64_t>(ms, 60'000));
}

bool Loop::run_tasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) {
    task();
    task = nullptr;  // what it holds ends before the next one begins
  }
  return !tasks.empty();
}

void Loop::run_timers() {
  const Time now = clock_.now();
  while (true) {
    Task task;
    {
      const std::lock_guard lock(mutex_);
      if (timers_.empty() || timers_.begin()->first.first > now) return;
      task = std::move(timers_.begin()->second);
      timer_times_.erase(timers_.begin()->first.second);
      timers_.erase(timers_.begin());
    }
    task();
  }
}

void Loop::run() {
  id_.store(std::this_thread::get_id());
  std::array<epoll_event, 64> events;
  while (!stopping_.load()) {
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms());
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.u64 == kWakeUp) {
        std::uint64_t count;
        [[maybe_unused]] const ssize_t n = ::read(event_, &count, sizeof count);
        awake_.store(false);  // before tasks are taken: a later post writes again
        continue;
      }
      // A handler may have unwatched another that is ready too; ids are never used twice.
      // Copied: epoll_event is packed, and a reference to what is in it need not be aligned.
      const std::uint64_t id = events[i].data.u64;
      const auto found = watches_.find(id);
      if (found == watches_.end()) continue;
      const std::shared_ptr<Watch> watch = found->second;
      watch->ready(events[i].events);
    }
    run_tasks();
    run_timers();
  }
}

void Loop::stop() {
  if (stopped_.load()) return;
  CHECK(std::this_thread::get_id() != id_.load()) << "a loop cannot join itself";
  stopping_.store(true);
  awake_.store(false);
  wake();
  thread_.join();
  id_.store(std::thread::id());
  {
    const std::lock_guard lock(mutex_);
    stopped_.store(true);
    helping_ = false;
  }
  more_blocking_.notify_one();
  if (helper_.joinable()) helper_.join();
  // What is dropped here may post and set timers again.
  while (true) {
    std::map<std::pair<Time, TimerId>, Task> timers;
    {
      const std::lock_guard lock(mutex_);
      timers.swap(timers_);
      timer_times_.clear();
    }
    auto watches = std::move(watches_);
    watches_.clear();
    watches_by_fd_.clear();
    const bool dropped = !timers.empty() || !watches.empty();
    timers.clear();
    watches.clear();
    if (!run_tasks() && !dropped) return;
  }
}

}  // namespace reef::link
