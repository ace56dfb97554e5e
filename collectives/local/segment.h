#pragma once
// The memory that a group shares: a seat for each member with its counters, and room for what it
// gives to the others.

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "collectives/local/shared_memory.h"

namespace reef::collectives {

/// Grows, and others wait for it to have grown. In shared memory.
/// Thread: one adds, of one process; any wait.
class alignas(64) Counter {
 public:
  void advance();
  std::uint32_t now() const { return value_.load(std::memory_order_acquire); }
  /// Whether it has come as far as `least` (which may have wrapped around), after waiting at most
  /// `patience` for it.
  bool wait_for(std::uint32_t least, Duration patience);

 private:
  bool reached(std::uint32_t least) const { return static_cast<std::int32_t>(now() - least) >= 0; }
  std::atomic<std::uint32_t> value_{0};
  std::atomic<std::uint32_t> waiting_{0};
};

/// What one member says. Messages are numbered from 1 through all operations.
struct Seat {
  std::atomic<std::int32_t> process{0};
  Counter given;  ///< messages that stand in its room, and the sums of its part behind them
  Counter summed;
  Counter taken;  ///< messages of the others that it needs no more
  /// Whom it gave up waiting for, plus one, and why: others who wait for it shall name the same.
  std::atomic<std::uint32_t> missed{0};
  std::atomic<bool> missed_is_dead{false};
};

/// Memory: mapped until destroyed, by whichever process.
class Segment {
 public:
  static constexpr std::uint32_t kSlots = 4;  ///< messages of one member under way

  static Result<std::unique_ptr<Segment>> open(const SharedMemoryOptions& options,
                                               Deadline deadline);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  Seat& seat(Rank rank) { return seats_[rank]; }
  /// Where `owner` puts what is meant for `part` in this message.
  float* room(Rank owner, std::uint32_t message, Rank part) {
    const std::size_t slot = (std::size_t{owner} * kSlots + message % kSlots) * world_ + part;
    return reinterpret_cast<float*>(data_ + slot * chunk_bytes_);
  }
  std::size_t chunk() const { return chunk_bytes_ / sizeof(float); }

  /// Waits until `counter` of that member has come to `least`; the errors of LocalGroup. The own
  /// seat then says so too.
  Status wait(Rank rank, Counter Seat::*counter, std::uint32_t least, Deadline deadline);

 private:
  Segment(const SharedMemoryOptions& options, std::byte* base, std::size_t size);
  Status meet(const SharedMemoryOptions& options, Deadline deadline);
  bool gone(Rank rank) const;
  Error miss(Rank rank, bool dead);

  const Rank rank_, world_;
  const std::size_t chunk_bytes_;
  std::byte* const base_;
  const std::size_t size_;
  Seat* seats_;
  std::byte* data_;
  std::vector<int> processes_;  ///< descriptors that become readable when a member ends
};

}  // namespace reef::collectives
