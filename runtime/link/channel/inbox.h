#pragma once
// Fragments in, messages out: what several streams bring in any order becomes messages in the order
// of their lanes. Nothing here believes the peer.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "runtime/link/channel/fragment.h"

namespace reef::link {

enum InboxLimit : std::size_t {
  kMaxAhead = 4096,  ///< messages of a lane begun behind one that is not complete
  kMaxGaps = 16384,  ///< holes in one message
  kMaxInFlight = std::size_t{32} << 20,  ///< bytes of one stream between sender and us
};

/// Which bytes of a message have come, as ordered intervals that do not touch.
class Coverage {
 public:
  /// False for a byte that has come before, or too many gaps.
  [[nodiscard]] bool add(std::uint64_t begin, std::uint64_t end);
  std::uint64_t size() const { return size_; }
  std::uint64_t end() const { return intervals_.empty() ? 0 : intervals_.back().end; }

 private:
  struct Interval {
    std::uint64_t begin, end;
  };
  std::vector<Interval> intervals_;
  std::uint64_t size_ = 0;
};

/// The receiving half of a channel.
/// Thread: one. Memory: lengths are checked before any is taken; pages are touched as bytes arrive.
///   All incomplete messages together stay under 2 kLanes (kMaxMessageHeader + max_payload) +
///   streams kMaxInFlight, which an honest sender cannot reach.
/// Failure: kProto, without a place, for whatever an honest sender does not send; then drop it.
class Inbox {
 public:
  Inbox(std::size_t max_payload, std::size_t streams);

  Status take(const RecordHeader& header, BytesView body);
  /// The next message that is complete and whose turn it is.
  std::optional<Message> next();
  /// Forgets everything.
  void clear();

 private:
  struct Partial {
    Fragment about;                      ///< as its first fragment said; without bytes
    std::shared_ptr<std::byte[]> bytes;  ///< header|payload
    Coverage coverage;
    std::uint64_t size = 0;  ///< less than was announced once it is aborted
    bool aborted = false;
    bool complete() const { return coverage.size() == size; }
  };
  struct LaneState {
    std::uint64_t turn = 1;  ///< number of the message to deliver next
    std::map<std::uint64_t, Partial> partial;
  };

  Result<Partial*> find(LaneState& lane, const Fragment& fragment);
  void settle(LaneState& lane);
  static Message whole(const Fragment& fragment);
  static Message message_of(Partial partial);

  std::size_t max_payload_;
  std::uint64_t most_reserved_;
  std::uint64_t reserved_ = 0;  ///< bytes of messages in partial
  std::array<LaneState, kLanes> lanes_;
  std::deque<Message> ready_;
};

}  // namespace reef::link
