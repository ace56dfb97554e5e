#include "runtime/device/cpu.h"

#include <pthread.h>

namespace reef::device {

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

void CpuStream::submit(Work work, Done done) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back({std::move(work), std::move(done)});
  }
  wake_.notify_one();
}

void CpuStream::run(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
      if (stopped_) return;
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    item.work(pool_);
    item.done();
  }
}

}  // namespace reef::device
