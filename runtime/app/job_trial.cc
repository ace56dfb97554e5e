#include "runtime/app/job_trial.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "actors/data/batch_reader.h"
#include "ops/cpu/thread_pool.h"
#include "ops/nn/trainer.h"
#include "runtime/base/clock.h"

namespace reef::app {
namespace {

constexpr std::uint64_t kSteps = 3;  ///< the first warms up

/// The job's loader: a thread that reads micro-batches of one replica into the slots of its edge.
class Loader {
 public:
  Loader(const job::Job& job, const actors::BatchReader& reader, std::uint64_t micro_batches)
      : reader_(reader),
        workers_(job.data.workers),
        slots_(job.data.prefetch),
        micro_batches_(micro_batches),
        thread_([this] { load(); }) {}
  ~Loader() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Waits for the next one, whose slot stays taken until release().
  Result<actors::Batch> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty(); });
    Result<actors::Batch> batch = std::move(ready_.front());
    ready_.pop_front();
    return batch;
  }
  void release() {
    {
      const std::lock_guard lock(mutex_);
      --taken_;
    }
    changed_.notify_all();
  }

 private:
  void load() {
    for (std::uint64_t number = 0; number < kSteps * micro_batches_; ++number) {
      Round round;
      round.step = 1 + number / micro_batches_;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ended_ || taken_ < slots_; });
        if (ended_) return;
        ++taken_;
      }
      auto batch = reader_.read(workers_, pool_, round, number % micro_batches_);
      {
        const std::lock_guard lock(mutex_);
        ready_.push_back(std::move(batch));
      }
      changed_.notify_all();
    }
  }

  const actors::BatchReader& reader_;
  ops::ThreadPool workers_;
  ops::Pool pool_;
  const std::size_t slots_;
  const std::uint64_t micro_batches_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Result<actors::Batch>> ready_;
  std::size_t taken_ = 0;  ///< slots: being filled, ready, or in use
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace

Result<double> time_step(const job::Job& job, std::size_t threads) {
  ATOLL_ASSIGN(const auto reader, actors::BatchReader::open(job));
  const std::uint64_t micro_batches = job.parallelism.micro_batches_of(0, job.training.leaves);
  ops::ThreadPool context(threads);
  nn::Trainer trainer(context, job.model, job.training.precision, job.training.seed);
  Loader loader(job, reader, micro_batches);
  std::vector<double> taken;
  for (std::uint64_t step = 1; step <= kSteps; ++step) {
    const Time start = system_clock().now();
    for (std::uint64_t micro = 0; micro < micro_batches; ++micro) {
      ATOLL_ASSIGN(const auto batch, loader.take());
      trainer.differentiate(batch.tokens, batch.targets, step);
      loader.release();
    }
    trainer.update({.lr = 1e-4f, .step = static_cast<std::int64_t>(step)});
    if (step > 1) taken.push_back(seconds(system_clock().now() - start));
  }
  return *std::min_element(taken.begin(), taken.end());
}

}  // namespace reef::app
