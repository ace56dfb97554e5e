#include "ops/cpu/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/base/check.h"

namespace reef::ops {

// A job is open from the moment parallel_for publishes it until all its tasks are taken. A worker
// that wakes later finds no job and sleeps again; one that joined is counted in `active`, and
// parallel_for returns when nobody is active, so `task` and `next` never serve two jobs at once.
struct ThreadPool::Workers {
  std::mutex mutex;
  std::condition_variable work;
  std::condition_variable done;
  const TaskRef* task = nullptr;
  std::size_t tasks = 0;
  std::uint64_t generation = 0;
  std::size_t active = 0;
  bool stopping = false;
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;

  void take_tasks(const TaskRef& job, std::size_t count) {
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) job(i);
  }

  void serve() {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock,
                [this, &seen] { return stopping || (task != nullptr && generation != seen); });
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
  std::unique_lock lock(w.mutex);
  w.task = nullptr;
  w.done.wait(lock, [&w] { return w.active == 0; });
}

}  // namespace reef::ops
