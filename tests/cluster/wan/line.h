#pragma once
// One direction of a long line: queue, serialiser, delay and loss, in this order, for each packet
// of the line.
//
//   accept ──> queue (bytes, drop-tail) ──> serialiser (rate) ──> under way (delay, jitter) ──>
//   deliver
//                 └ full: dropped                └ lost by chance          └ blackout: all of it
//                 lost
//
// A packet that is lost by chance has used the line's time: real lines lose packets behind their
// bottleneck. A blackout loses what is in the queue and under way, and what comes while it lasts.
//
// Time is an argument, so that tests need no clock. Thread: one. Memory: what the Budget allows.

#include <deque>
#include <functional>
#include <memory>
#include <string_view>

#include "runtime/base/random.h"
#include "tests/cluster/wan/packet.h"
#include "tests/cluster/wan/settings.h"

namespace reef::wan {

/// Packets of the line, not of the kernel: a super-packet of seven segments counts seven.
struct Counters {
  std::uint64_t accepted = 0,
                accepted_bytes = 0;  ///< came, whatever became of them; bytes with overhead
  std::uint64_t delivered = 0, delivered_bytes = 0;
  std::uint64_t lost = 0;           ///< by chance
  std::uint64_t queue_dropped = 0;  ///< the queue was full
  std::uint64_t blackout_dropped = 0;
  std::uint64_t memory_dropped = 0;  ///< the budget was used up; a measurement with any is void
  std::uint64_t malformed = 0;       ///< packets of the kernel that could not be read
  std::uint64_t queue_most_bytes = 0;
};

class Line {
 public:
  /// Pieces leave in order of delivery.
  using Sink = std::function<void(const Piece&)>;

  /// `name` separates the random numbers of the two directions. `batch`: packets that would be
  /// delivered within this time are delivered together with the last of them, for the price of one
  /// wake-up.
  Line(Budget& budget, const LineSettings& settings, std::uint64_t seed, std::string_view name,
       Duration batch);

  /// Takes a packet from the kernel.
  void accept(const Offload& offload, BytesView packet, Time now);
  /// When deliver() should be called again; kNoDeadline when nothing is on the line.
  Time next(Time now);
  /// Hands over everything that has arrived by `now`; neighbouring segments of one packet as one
  /// piece.
  void deliver(Time now, const Sink& sink);

  /// Changes the line under what is on it. The packet that is being sent keeps its rate, what is
  /// under way its time of arrival. A queue that was not given stays as long as the first settings
  /// made it.
  void set(const LineSettings& settings, Time now);
  /// From now until `end` nothing passes, and what is on the line is lost.
  void blackout(Time end, Time now);

  const LineSettings& settings() const { return settings_; }
  const Counters& counters() const { return counters_; }
  std::uint64_t queue_bytes() const { return queued_bytes_; }
  std::uint64_t queue_limit() const { return queue_limit_; }

 private:
  using PacketPointer = std::shared_ptr<const Packet>;  // shared by the segments of one packet
  struct Waiting {
    PacketPointer packet;
    std::uint32_t segment;
    Time came;
  };
  struct UnderWay {
    Time arrives;
    PacketPointer packet;
    std::uint32_t segment;
  };

  std::uint64_t wire_bytes(const Packet& packet, std::uint32_t segment) const;
  /// Starts to send whatever the serialiser gets to by `now`.
  void advance(Time now);
  void start_first();
  void send_on(PacketPointer packet, std::uint32_t segment, Time sent);
  /// The delay of the packet that is sent at this time.
  Duration delay_at(Time sent);
  double wandering(Time sent) const;
  bool dark(Time now) const { return now < dark_until_; }

  Budget& budget_;
  LineSettings settings_;
  std::uint64_t queue_limit_;
  const Random random_;
  const Duration batch_;
  std::deque<Waiting> queue_;
  std::uint64_t queued_bytes_ = 0;
  Time free_at_{};                  ///< when the serialiser has sent the packet that it is at
  std::deque<UnderWay> under_way_;  ///< by time of arrival
  Time dark_until_{};
  std::uint64_t started_ = 0;  ///< packets that reached the serialiser: positions of random numbers
  Counters counters_;
};

}  // namespace reef::wan
