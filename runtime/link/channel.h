#pragma once
// Messages of any size over a sealed link, in lanes, so that a heartbeat never waits behind a
// gradient.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/link/record_link.h"
#include "runtime/link/secure/secure_link.h"

namespace reef::link {

/// In order of priority; a fragment leaves only when every lane before it is empty.
enum class Lane : std::uint8_t { kControl = 0, kActivation = 1, kGradient = 2, kBulk = 3 };
inline constexpr std::size_t kLanes = 4;

/// Bytes and whatever keeps them alive; copying copies the handle.
class Payload {
 public:
  Payload() = default;
  Payload(Bytes bytes);                         // NOLINT: a payload is made of bytes
  Payload(std::shared_ptr<const Bytes> bytes);  // NOLINT
  /// `view` stays valid and unchanged while `owner` lives.
  Payload(std::shared_ptr<const void> owner, BytesView view)
      : owner_(std::move(owner)), view_(view) {}

  BytesView view() const { return view_; }
  std::size_t size() const { return view_.size(); }

 private:
  std::shared_ptr<const void> owner_;
  BytesView view_;
};

/// One message. The header is small and parsed by the receiver; the payload is never looked at.
struct Message {
  std::uint16_t kind = 0;  ///< the caller's; checked against security::Policy by the caller
  Bytes header;
  Payload payload;
  Lane lane = Lane::kControl;
  std::uint64_t epoch = 0;  ///< travels in each record's header
};

inline constexpr std::size_t kMaxMessageHeader = 16 * 1024;

struct ChannelOptions {
  std::size_t max_payload = std::size_t{64} << 20;  ///< larger arriving ones are kProto
  std::size_t frames_in_flight = 4;                 ///< handed to the link and not yet Done
};

/// Figures since the start; each is read on its own. Wire bytes count every header, tag and length.
struct ChannelCounters {
  std::uint64_t messages_sent = 0, messages_received = 0;
  std::uint64_t payload_bytes_sent = 0, payload_bytes_received = 0;
  std::uint64_t wire_bytes_sent = 0, wire_bytes_received = 0;
};

using MessageHandler = std::function<void(Message)>;

/// Thread: send, close and counters from any; handlers and Done on executor().
/// Order: messages of one lane arrive in order of send; lanes overtake each other between
/// fragments. Memory: sending holds the caller's handles, nothing more, until Done; receiving holds
/// at most one
///   partial message a lane, bounded by the options, and takes memory only as bytes arrive.
/// Failure: as Link. A message that misses its deadline fails alone with kTimedOut (if it had
/// begun,
///   the peer is told to forget it). A violation by the peer closes the channel with kProto.
/// Destruction: as Link.
class Channel {
 public:
  /// Over a sealed link only. Plain ones exist for tests: sim/plain_channel.h.
  static std::unique_ptr<Channel> create(std::unique_ptr<secure::SecureLink> link,
                                         ChannelOptions options = {});
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Begins delivery. Once only.
  void start(MessageHandler on_message, ClosedHandler on_closed);
  /// `done` runs once: ok when the last byte has left the process. kUsage, at once and alone, for a
  /// header or payload over the limits.
  void send(Message message, Deadline deadline, Done done);
  /// With `drain`, messages already accepted go out first (bound them by their deadlines); without,
  /// they complete with kClosed. Then the link says farewell and on_closed(kClosed) runs.
  void close(bool drain);

  ChannelCounters counters() const;
  /// Bytes of header and payload accepted by send that have not left yet.
  std::size_t queued_bytes() const;
  /// The verified peer, or null on a plain channel of a test.
  const security::Credential* peer() const;
  std::string peer_name() const;
  Executor& executor();

 private:
  friend struct PlainChannelForTests;
  class Core;
  Channel(std::unique_ptr<RecordLink> link, const security::Credential* peer,
          ChannelOptions options);
  std::shared_ptr<Core> core_;
};

}  // namespace reef::link
