#include "ops/tensor/pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "runtime/base/check.h"

namespace reef::ops {

namespace {

/// The size of a block, and its number among all sizes.
struct SizeClass {
  std::size_t bytes;
  std::size_t index;
};
constexpr std::size_t kSizeClasses = 4 * 64 + 1;

/// Four classes to each power of two, so that at most a quarter is wasted.
SizeClass class_of(std::size_t bytes) {
  if (bytes <= 4 * Pool::kAlignment) {
    const std::size_t lines =
        std::max<std::size_t>(1, (bytes + Pool::kAlignment - 1) / Pool::kAlignment);
    return {lines * Pool::kAlignment, lines - 1};
  }
  const std::size_t step = std::bit_floor(bytes) / 4;
  const std::size_t steps = (bytes + step - 1) / step;  // 4 to 8, and 8 is 4 of the next power
  return {steps * step, 4 * static_cast<std::size_t>(std::countr_zero(step)) + steps};
}

/// The inverse.
std::size_t bytes_of_class(std::size_t index) {
  if (index < 4) return (index + 1) * Pool::kAlignment;
  const std::size_t steps = 5 + (index - 5) % 4;  // never 4, which is 8 of the power before
  return steps << (index - steps) / 4;
}

constexpr std::size_t kHugePage = std::size_t{2} << 20;

class HostMemory final : public Memory {
 public:
  explicit HostMemory(Device device) : device_(device) { CHECK(is_host(device)); }
  Device device() const override { return device_; }
  std::byte* take(std::size_t bytes) override {
    if (bytes < kHugePage) {
      return static_cast<std::byte*>(std::aligned_alloc(Pool::kAlignment, bytes));
    }
    // Strided walks through a matrix miss the table of small pages at every row. Advice only: where
    // the system gives no huge pages, these are small ones.
    void* block = nullptr;
    if (posix_memalign(&block, kHugePage, bytes) != 0) return nullptr;
    madvise(block, bytes, MADV_HUGEPAGE);
    return static_cast<std::byte*>(block);
  }
  void give_back(std::byte* block, std::size_t) override { std::free(block); }

 private:
  Device device_;
};

}  // namespace

std::shared_ptr<Memory> host_memory(Device device) { return std::make_shared<HostMemory>(device); }

/// Owned by the Pool and by every block that it gave out: whoever is the last deletes it. A block
/// comes and goes with the memory of its reference count under one lock, which is a third of the
/// price of a shared_ptr to this, a lock for each, and their atomic counts.
struct Pool::State {
  explicit State(std::shared_ptr<Memory> given) : memory(std::move(given)) {}
  ~State() {
    for (void* handle : handles) ::operator delete(handle);
  }

  mutable std::mutex mutex;
  std::shared_ptr<Memory> memory;
  std::array<std::vector<std::byte*>, kSizeClasses> free;
  std::vector<void*> handles;  ///< memory of reference counts, which all have one size
  std::size_t live = 0;        ///< blocks given out
  Statistics statistics;
  bool closed = false;  ///< the Pool is gone: blocks go back to the system

  struct Lease {
    std::byte* block;
    void* handle;  ///< null: none to spare
  };

  Lease take(SizeClass of) {
    const std::lock_guard lock(mutex);
    const std::size_t size = of.bytes;
    std::byte* block = nullptr;
    std::vector<std::byte*>& blocks = free[of.index];
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
      statistics.cached_bytes -= size;
      ++statistics.hits;
    } else {
      ++statistics.misses;
      block = memory->take(size);
      if (block == nullptr) {
        trim_locked();
        block = memory->take(size);
      }
      CHECK(block != nullptr) << "out of memory on " << name_of(memory->device()) << ": " << size
                              << " bytes wanted, " << statistics.bytes_in_use << " in use";
    }
    statistics.bytes_in_use += size;
    statistics.peak_bytes = std::max(statistics.peak_bytes, statistics.bytes_in_use);
    ++live;
    if (handles.empty()) return {block, nullptr};
    void* const handle = handles.back();
    handles.pop_back();
    return {block, handle};
  }

  void give_back(Lease lease, SizeClass of) {
    std::unique_lock lock(mutex);
    statistics.bytes_in_use -= of.bytes;
    if (!closed) {
      handles.push_back(lease.handle);
      free[of.index].push_back(lease.block);
      statistics.cached_bytes += of.bytes;
      --live;
      return;
    }
    memory->give_back(lease.block, of.bytes);
    ::operator delete(lease.handle);
    const bool last = --live == 0;
    lock.unlock();
    if (last) delete this;
  }

  /// The Pool goes. What is cached goes back now, the rest as it comes.
  void close() {
    std::unique_lock lock(mutex);
    closed = true;
    trim_locked();
    const bool last = live == 0;
    lock.unlock();
    if (last) delete this;
  }

  void trim() {
    const std::lock_guard lock(mutex);
    trim_locked();
  }

  void trim_locked() {
    for (std::size_t index = 0; index < kSizeClasses; ++index) {
      for (std::byte* block : free[index]) memory->give_back(block, bytes_of_class(index));
      free[index].clear();
    }
    statistics.cached_bytes = 0;
  }
};

/// The allocator of a block's reference count. The count is the last to go, so its memory brings
/// the block home.
template <typename T>
struct Pool::HandleAllocator {
  using value_type = T;
  State* state;
  State::Lease lease;
  SizeClass size;

  HandleAllocator(State* given, State::Lease taken, SizeClass of)
      : state(given), lease(taken), size(of) {}
  template <typename U>
  HandleAllocator(const HandleAllocator<U>& other)
      : state(other.state), lease(other.lease), size(other.size) {}
  T* allocate(std::size_t) {
    return static_cast<T*>(lease.handle != nullptr ? lease.handle : ::operator new(sizeof(T)));
  }
  void deallocate(T* handle, std::size_t) { state->give_back({lease.block, handle}, size); }
  template <typename U>
  bool operator==(const HandleAllocator<U>& other) const {
    return lease.block == other.lease.block;
  }
};

Pool::Pool(std::shared_ptr<Memory> memory) : state_(new State(std::move(memory))) {}

Pool::~Pool() { state_->close(); }

Pool& Pool::host() {
  // Never destroyed: tensors of static lifetime may return blocks at exit.
  static Pool* const pool = new Pool;
  return *pool;
}

Device Pool::device() const { return state_->memory->device(); }

std::shared_ptr<std::byte> Pool::allocate(std::size_t bytes) {
  const SizeClass size = class_of(bytes);
  const State::Lease lease = state_->take(size);
  return std::shared_ptr<std::byte>(
      lease.block, [](std::byte*) {}, HandleAllocator<std::byte>(state_, lease, size));
}

Pool::Statistics Pool::statistics() const {
  const std::lock_guard lock(state_->mutex);
  return state_->statistics;
}

void Pool::reset_peak() {
  const std::lock_guard lock(state_->mutex);
  state_->statistics.peak_bytes = state_->statistics.bytes_in_use;
}

void Pool::trim() { state_->trim(); }

}  // namespace reef::ops
