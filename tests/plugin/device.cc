#include "tests/plugin/device.h"

#include <sys/mman.h>

#include <utility>

namespace reef::apart {

Space::Space(ops::Device device) : device_(device) {
  void* const both =
      mmap(nullptr, 2 * kDistance, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(both != MAP_FAILED);
  base_ = static_cast<std::byte*>(both);
  CHECK_EQ(mprotect(base_ + kDistance, kDistance, PROT_READ | PROT_WRITE), 0);
}

Space::~Space() { munmap(base_, 2 * kDistance); }

std::byte* Space::take(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  std::vector<std::byte*>& blocks = free_[bytes];
  if (!blocks.empty()) {
    std::byte* const block = blocks.back();
    blocks.pop_back();
    return block;
  }
  if (bytes > kDistance - used_) return nullptr;
  return base_ + std::exchange(used_, used_ + bytes);
}

void Space::give_back(std::byte* block, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  free_[bytes].push_back(block);
}

Apart::Apart(ops::Device device)
    : space_(std::make_shared<Space>(device)), pool_(space_), worker_([this] { work(); }) {}

Apart::~Apart() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

void Apart::copy_to_device(std::byte* to, const std::byte* from, std::size_t bytes) {
  CHECK(space_->holds(to) && !space_->holds(from)) << "a copy to the device in another direction";
  launch([=] { std::memcpy(to + Space::kDistance, from, bytes); });
  synchronize();
}

void Apart::copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) {
  CHECK(space_->holds(from) && !space_->holds(to)) << "a copy to the host in another direction";
  launch([=] { std::memcpy(to, from + Space::kDistance, bytes); });
  synchronize();
}

void Apart::start_copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) {
  CHECK(space_->holds(from) && !space_->holds(to)) << "a copy to the host in another direction";
  std::memset(to, 0xff, bytes);  // who does not wait sees that
  launch([=] { std::memcpy(to, from + Space::kDistance, bytes); });
}

void Apart::copy_within(std::byte* to, const std::byte* from, std::size_t bytes) {
  CHECK(space_->holds(from) && space_->holds(to)) << "a copy within the device leads out of it";
  launch([=] { std::memcpy(to + Space::kDistance, from + Space::kDistance, bytes); });
}

void Apart::synchronize() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void Apart::when_done(void (*call)(void*), void* argument) {
  launch([=] { call(argument); });
}

void Apart::launch(Work work) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(work));
  changed_.notify_all();
}

void Apart::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Work next = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();
    next();
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace reef::apart
