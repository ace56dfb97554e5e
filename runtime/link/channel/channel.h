#pragma once
// Messages of any size between two peers, in lanes, so that a heartbeat never waits behind a
// gradient, over as many streams as a long line needs to be filled.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/link/channel/message.h"
#include "runtime/link/record_link.h"
#include "runtime/link/secure/secure_link.h"

namespace reef::link {

struct ChannelOptions {
  std::size_t max_payload = std::size_t{64} << 20;  ///< larger arriving ones are kProto
  /// Of one stream, at most, handed to its link and not yet Done; fewer and smaller ones on a slow
  /// line (window.h), since urgent messages wait for them.
  std::size_t fragments_in_flight = 4;
};

/// Figures since the start; each is read on its own. Wire bytes count every header, tag and length.
struct ChannelCounters {
  std::uint64_t messages_sent = 0, messages_received = 0;
  std::uint64_t payload_bytes_sent = 0, payload_bytes_received = 0;
  std::uint64_t wire_bytes_sent = 0, wire_bytes_received = 0;
  std::uint64_t fragment_bytes_received = 0;  ///< of headers and payloads, whole or not yet
};

using MessageHandler = std::function<void(Message)>;

/// Thread: send, close and counters from any; handlers and Done on executor().
/// Order: messages of one lane arrive in order of send, over however many streams; lanes overtake
///   each other between fragments. Memory: sending holds the caller's handles, nothing more, until
///   Done; receiving is bounded as inbox.h says.
/// Failure: as Link; a stream that is lost takes the channel with it. A message that misses its
///   deadline fails alone with kTimedOut (if it had begun, the peer is told to forget it). A
///   violation by the peer closes the channel with kProto.
/// Destruction: as Link.
class Channel {
 public:
  /// Over sealed links only, all to one peer and on one executor. Plain ones exist for tests:
  /// sim/plain_channel.h. One link carries all lanes. Of several the first is the control lane's
  /// own, and the others share the rest, each fragment taking the one that is least busy.
  static std::unique_ptr<Channel> create(std::vector<std::unique_ptr<secure::SecureLink>> streams,
                                         ChannelOptions options = {});
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
  /// they complete with kClosed. Then the streams say farewell and on_closed(kClosed) runs. A
  /// peer's farewell counts once all streams have brought it.
  void close(bool drain);

  ChannelCounters counters() const;
  /// Of all streams together: the bytes of those for data, busy while any of them was, the shortest
  /// round trip. Thread: executor() only.
  TransportStats transport_stats() const;
  /// Bytes of header and payload accepted by send that have not left yet.
  std::size_t queued_bytes() const;
  /// The verified peer, or null on a plain channel of a test.
  const security::Credential* peer() const;
  std::string peer_name() const;
  Executor& executor();

 private:
  friend struct PlainChannelForTests;
  class Core;
  Channel(std::vector<std::unique_ptr<RecordLink>> streams, const security::Credential* peer,
          ChannelOptions options);
  std::shared_ptr<Core> core_;
};

}  // namespace reef::link
