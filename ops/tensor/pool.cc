#include "ops/tensor/pool.h"

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

}  // namespace

struct Pool::State {
  mutable std::mutex mutex;
  std::unordered_map<std::size_t, std::vector<std::byte*>> free;
  Statistics statistics;
  bool closed = false;  ///< the Pool is gone: blocks go back to the system

  void give_back(std::byte* block, std::size_t size) {
    const std::lock_guard lock(mutex);
    statistics.bytes_in_use -= size;
    if (closed) {
      std::free(block);
      return;
    }
    free[size].push_back(block);
    statistics.cached_bytes += size;
  }

  void trim() {
    const std::lock_guard lock(mutex);
    for (auto& [size, blocks] : free) {
      for (std::byte* block : blocks) std::free(block);
    }
    free.clear();
    statistics.cached_bytes = 0;
  }
};

Pool::Pool() : state_(std::make_shared<State>()) {}

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

std::shared_ptr<std::byte> Pool::allocate(std::size_t bytes) {
  const std::size_t size = class_of(bytes);
  std::byte* block = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    Statistics& statistics = state_->statistics;
    std::vector<std::byte*>& blocks = state_->free[size];
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
      statistics.cached_bytes -= size;
      ++statistics.hits;
    } else {
      ++statistics.misses;
    }
    statistics.bytes_in_use += size;
    statistics.peak_bytes = std::max(statistics.peak_bytes, statistics.bytes_in_use);
  }
  if (block == nullptr) {
    block = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
    CHECK(block != nullptr) << "out of memory: " << size << " bytes";
  }
  return {block, [state = state_, size](std::byte* done) { state->give_back(done, size); }};
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
