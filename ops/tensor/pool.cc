#include "ops/tensor/pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/base/check.h"

namespace reef::ops {

namespace {

/// Four classes to each power of two, so that at most a quarter is wasted.
std::size_t class_of(std::size_t bytes) {
  if (bytes <= 4 * Pool::kAlignment) {
    return std::max<std::size_t>(1, (bytes + Pool::kAlignment - 1) / Pool::kAlignment) *
           Pool::kAlignment;
  }
  const std::size_t step = std::bit_floor(bytes) / 4;
  return (bytes + step - 1) / step * step;
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

struct Pool::State {
  explicit State(std::shared_ptr<Memory> given) : memory(std::move(given)) {}
  ~State() {
    for (void* handle : handles) ::operator delete(handle);
  }

  mutable std::mutex mutex;
  std::shared_ptr<Memory> memory;
  std::unordered_map<std::size_t, std::vector<std::byte*>> free;
  std::vector<void*> handles;   ///< spare reference counts, all of one size
  std::size_t handle_size = 0;  ///< known once the first was made
  Statistics statistics;
  bool closed = false;  ///< the Pool is gone: blocks go back to the system

  std::byte* take(std::size_t size) {
    const std::lock_guard lock(mutex);
    std::byte* block = nullptr;
    std::vector<std::byte*>& blocks = free[size];
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
    return block;
  }

  void give_back(std::byte* block, std::size_t size) {
    const std::lock_guard lock(mutex);
    statistics.bytes_in_use -= size;
    if (closed) {
      memory->give_back(block, size);
      return;
    }
    free[size].push_back(block);
    statistics.cached_bytes += size;
  }

  void trim() {
    const std::lock_guard lock(mutex);
    trim_locked();
  }

  void trim_locked() {
    for (auto& [size, blocks] : free) {
      for (std::byte* block : blocks) memory->give_back(block, size);
      blocks.clear();
    }
    statistics.cached_bytes = 0;
  }

  void* take_handle(std::size_t size) {
    {
      const std::lock_guard lock(mutex);
      if (size == handle_size && !handles.empty()) {
        void* handle = handles.back();
        handles.pop_back();
        return handle;
      }
      handle_size = size;
    }
    return ::operator new(size);
  }

  void give_handle(void* handle, std::size_t size) {
    const std::lock_guard lock(mutex);
    if (closed || size != handle_size) {
      ::operator delete(handle);
      return;
    }
    handles.push_back(handle);
  }
};

/// Serves shared_ptr's reference counts from State::handles. Keeps State alive until the count
/// itself is gone, which is after the deleter ran.
template <typename T>
struct Pool::HandleAllocator {
  using value_type = T;
  std::shared_ptr<State> state;

  explicit HandleAllocator(std::shared_ptr<State> given) : state(std::move(given)) {}
  template <typename U>
  HandleAllocator(const HandleAllocator<U>& other) : state(other.state) {}
  T* allocate(std::size_t count) { return static_cast<T*>(state->take_handle(count * sizeof(T))); }
  void deallocate(T* handle, std::size_t count) { state->give_handle(handle, count * sizeof(T)); }
  template <typename U>
  bool operator==(const HandleAllocator<U>& other) const {
    return state == other.state;
  }
};

Pool::Pool(std::shared_ptr<Memory> memory) : state_(std::make_shared<State>(std::move(memory))) {}

Pool::~Pool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
  }
  state_->trim();
}

Pool& Pool::host() {
  // Never destroyed: tensors of static lifetime may return blocks at exit.
  static Pool* const pool = new Pool;
  return *pool;
}

Device Pool::device() const { return state_->memory->device(); }

std::shared_ptr<std::byte> Pool::allocate(std::size_t bytes) {
  const std::size_t size = class_of(bytes);
  std::byte* block = state_->take(size);
  // The allocator keeps State alive for as long as the count exists.
  return std::shared_ptr<std::byte>(
      block, [state = state_.get(), size](std::byte* done) { state->give_back(done, size); },
      HandleAllocator<std::byte>(state_));
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
