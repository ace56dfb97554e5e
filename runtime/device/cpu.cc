#include "runtime/device/cpu.h"

#include <pthread.h>

#include <algorithm>

#include "runtime/base/log.h"

namespace reef::device {
namespace {

constexpr std::uint64_t kExceptions = 16;  ///< first acts fill memory and choose kernels

}  // namespace

CpuStream::CpuStream(std::string name, std::uint32_t threads)
    : pool_(threads), executor_([this, name = std::move(name)] { run(name); }) {}

CpuStream::~CpuStream() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_one();
  executor_.join();
}

void CpuStream::submit(std::int32_t priority, Work work, Done done, Duration pace) {
  const Time now = pace > Duration::zero() ? system_clock().now() : Time{};
  {
    std::lock_guard lock(mutex_);
    queues_[priority].push_back({std::move(work), std::move(done), pace, now});
  }
  wake_.notify_one();
}

void CpuStream::run(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
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
      item.work(pool_);
    }
    item.done();
  }
}

/// False when the stream is stopped before the pace has passed.
bool CpuStream::run_paced(Item& item) {
  const Time began = system_clock().now();
  item.work(pool_);
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
