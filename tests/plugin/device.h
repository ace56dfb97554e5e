#pragma once
// "apart": a device as unlike the host as a graphics card, on any machine. Its addresses fault when
// the host follows them, and its work is done later, by a thread of its own. It shows what a
// plug-in has to bring, and catches code that takes device memory for the host's.

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "ops/tensor/context.h"

namespace reef::apart {

/// Addresses that may not be followed. What belongs at address a lies at a + kDistance, which only
/// the device's worker and its copies compute.
class Space final : public ops::Memory {
 public:
  static constexpr std::size_t kDistance = std::size_t{1} << 30;  ///< and the room there is

  explicit Space(ops::Device device);
  ~Space() override;
  ops::Device device() const override { return device_; }
  std::byte* take(std::size_t bytes) override;
  void give_back(std::byte* block, std::size_t bytes) override;
  bool holds(const std::byte* address) const {
    return address >= base_ && address < base_ + kDistance;
  }

 private:
  ops::Device device_;
  std::mutex mutex_;
  std::byte* base_;
  std::size_t used_ = 0;
  std::map<std::size_t, std::vector<std::byte*>> free_;  ///< by size
};

/// Launched work runs in order on one thread. The destructor waits for it.
class Apart final : public ops::Context {
 public:
  using Work = std::function<void()>;

  explicit Apart(ops::Device device);
  ~Apart() override;
  ops::Device device() const override { return pool_.device(); }
  ops::Pool& pool() override { return pool_; }
  void parallel_for(std::size_t, ops::TaskRef) override {
    CHECK(false) << "a kernel of the host was given memory of the device";
  }
  void copy_to_device(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void start_copy_to_host(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void copy_within(std::byte* to, const std::byte* from, std::size_t bytes) override;
  void synchronize() override;
  void when_done(void (*call)(void*), void* argument) override;

  /// Returns at once.
  void launch(Work work);
  const Space& space() const { return *space_; }

 private:
  void work();

  const std::shared_ptr<Space> space_;
  ops::Pool pool_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  bool busy_ = false;
  bool ending_ = false;
  std::thread worker_;
};

}  // namespace reef::apart
