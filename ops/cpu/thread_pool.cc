#include "ops/cpu/thread_pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/denormals.h"

namespace reef::ops {

namespace {

/// How long a thread looks for work, or for the others' end, before it sleeps. Between two ops of a
/// training step pass a few microseconds, and to wake a thread costs tens, in a virtual machine
/// more.
constexpr auto kPatience = std::chrono::microseconds(50);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

/// Whether `ready` came true within kPatience.
template <typename Ready>
bool soon(const Ready& ready) {
  constexpr int kLooks = 16;  // between two readings of the clock
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do {
    for (int look = 0; look < kLooks; ++look) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

}  // namespace

// A job is open from the moment parallel_for publishes it until all its tasks are taken. A worker
// that wakes later finds no job and sleeps again; one that joined is counted in `active`, and
// parallel_for returns when nobody is active, so `task` and `next` never serve two jobs at once.
// All fields but `next` change under the mutex; the atomic ones are also looked at without it, to
// spare a thread its sleep.
struct ThreadPool::Workers {
  std::mutex mutex;
  std::condition_variable work;
  std::condition_variable done;
  std::atomic<const TaskRef*> task{nullptr};
  std::size_t tasks = 0;
  std::atomic<std::uint64_t> generation{0};
  std::atomic<std::size_t> active{0};
  std::atomic<bool> stopping{false};
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;

  void take_tasks(const TaskRef& job, std::size_t count) {
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) job(i);
  }

  void serve() {
    const NoDenormals none;
    std::uint64_t seen = 0;
    while (true) {
      const auto wanted = [this, seen] {
        return stopping || (task != nullptr && generation != seen);
      };
      soon(wanted);
      std::unique_lock lock(mutex);
      work.wait(lock, wanted);
      if (stopping) return;
      seen = generation;
      const TaskRef& job = *task;
      const std::size_t count = tasks;
      ++active;
      lock.unlock();
      take_tasks(job, count);
      lock.lock();
      if (--active == 0) done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(std::size_t threads, Device device)
    : pool_(host_memory(device)), device_(device), workers_(std::make_unique<Workers>()) {
  CHECK(threads >= 1);
  for (std::size_t i = 1; i < threads; ++i) {
    workers_->threads.emplace_back([workers = workers_.get()] { workers->serve(); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(workers_->mutex);
    workers_->stopping = true;
  }
  workers_->work.notify_all();
  for (std::thread& thread : workers_->threads) thread.join();
}

std::size_t ThreadPool::threads() const { return workers_->threads.size() + 1; }

void ThreadPool::parallel_for(std::size_t tasks, TaskRef task) {
  const NoDenormals none;  // as of the workers: who takes which task changes no bit
  if (workers_->threads.empty() || tasks <= 1) {
    for (std::size_t i = 0; i < tasks; ++i) task(i);
    return;
  }
  Workers& w = *workers_;
  {
    const std::lock_guard lock(w.mutex);
    CHECK(w.task == nullptr) << "parallel_for is not nested and has one caller at a time";
    w.task = &task;
    w.tasks = tasks;
    w.next.store(0);
    ++w.generation;
  }
  w.work.notify_all();
  w.take_tasks(task, tasks);
  {
    const std::lock_guard lock(w.mutex);
    w.task = nullptr;
  }
  const auto finished = [&w] { return w.active == 0; };
  if (soon(finished)) return;
  std::unique_lock lock(w.mutex);
  w.done.wait(lock, finished);
}

}  // namespace reef::ops
