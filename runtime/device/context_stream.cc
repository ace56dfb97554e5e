#include "runtime/device/context_stream.h"

#include <pthread.h>

#include <algorithm>

#include "runtime/base/denormals.h"
#include "runtime/base/log.h"

namespace reef::device {
namespace {

constexpr std::uint64_t kExceptions = 16;  ///< first acts fill memory and choose kernels

}  // namespace

ContextStream::ContextStream(std::string name, std::shared_ptr<ops::Context> context)
    : context_(std::move(context)), executor_([this, name = std::move(name)] { run(name); }) {}

ContextStream::~ContextStream() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_one();
  executor_.join();
  context_->synchronize();  // after which nobody says done any more
}

void ContextStream::submit(std::int32_t priority, Work work, Done done, Duration pace) {
  const Time now = pace > Duration::zero() ? system_clock().now() : Time{};
  {
    std::lock_guard lock(mutex_);
    queues_[priority].push_back({std::move(work), std::move(done), pace, now});
  }
  wake_.notify_one();
}

void ContextStream::run(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  const NoDenormals none;
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopped_ || !queues_.empty(); });
      if (stopped_) return;
      const auto best = queues_.begin();
      item = std::move(best->second.front());
      best->second.pop_front();
      if (best->second.empty()) queues_.erase(best);
    }
    if (item.pace > Duration::zero()) {
      if (!run_paced(item)) return;
    } else {
      item.work(*context_);
    }
    say_done(std::move(item.done));
  }
}

void ContextStream::say_done(Done done) {
  if (ops::is_host(context_->device())) return done();
  context_->when_done(
      [](void* passed) {
        const std::unique_ptr<Done> owned(static_cast<Done*>(passed));
        (*owned)();
      },
      std::make_unique<Done>(std::move(done)).release());
}

/// False when the stream is stopped before the pace has passed.
bool ContextStream::run_paced(Item& item) {
  const Time began = system_clock().now();
  item.work(*context_);
  context_->synchronize();
  if (system_clock().now() - began > item.pace && ++overruns_ == kExceptions) {
    log_warning(std::to_string(kExceptions) +
                " acts took longer than the pace of this device: the machine is slower than the "
                "device that it plays, and what is measured is the machine");
  }
  paced_until_ = std::max(paced_until_, item.submitted) + item.pace;
  std::unique_lock lock(mutex_);
  return !wake_.wait_until(lock, paced_until_, [this] { return stopped_; });
}

}  // namespace reef::device
