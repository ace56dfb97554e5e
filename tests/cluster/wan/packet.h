#pragma once
// A packet on the line, and the budget that bounds how many there can be.

#include <memory>

#include "tests/cluster/wan/segments.h"

namespace reef::wan {

/// Counts the memory of all packets that are alive. Thread: one. Outlives every packet made from
/// it.
class Budget {
 public:
  explicit Budget(std::size_t limit) : limit_(limit) {}
  bool take(std::size_t bytes) {
    if (bytes > limit_ - used_) return false;
    used_ += bytes;
    return true;
  }
  void give_back(std::size_t bytes) { used_ -= bytes; }
  std::size_t used() const { return used_; }

 private:
  const std::size_t limit_;
  std::size_t used_ = 0;
};

/// What the kernel handed over, kept until its last segment has been delivered or lost.
class Packet {
 public:
  /// Copies `bytes`; null when the budget has no room.
  static std::shared_ptr<const Packet> make(Budget& budget, const Offload& offload,
                                            const Shape& shape, BytesView bytes) {
    const std::size_t cost = bytes.size() + kOverhead + shape.count * kSegmentOverhead;
    if (!budget.take(cost)) return nullptr;
    return std::shared_ptr<const Packet>(new Packet(budget, cost, offload, shape, bytes));
  }
  ~Packet() { budget_.give_back(cost_); }
  Packet(const Packet&) = delete;
  Packet& operator=(const Packet&) = delete;

  Piece cut(std::uint32_t first, std::uint32_t count) const {
    return wan::cut(offload_, bytes_, shape_, first, count);
  }
  const Shape& shape() const { return shape_; }

 private:
  // What the allocator, this object and the entries of its segments in a line's queues take beside
  // the bytes.
  static constexpr std::size_t kOverhead = 192, kSegmentOverhead = 80;

  Packet(Budget& budget, std::size_t cost, const Offload& offload, const Shape& shape,
         BytesView bytes)
      : budget_(budget), cost_(cost), offload_(offload), shape_(shape), bytes_(to_bytes(bytes)) {}

  Budget& budget_;
  const std::size_t cost_;
  const Offload offload_;
  const Shape shape_;
  const Bytes bytes_;
};

}  // namespace reef::wan
