#pragma once
// What a line can do, measured over the sealed channel that jobs use, so that plans stand on
// figures and not on what somebody wrote down.

#include <functional>
#include <memory>
#include <vector>

#include "runtime/link/channel/channel.h"

namespace reef::link {

struct ProbeOptions {
  std::vector<std::uint16_t> streams{1, 2, 4, 8, 16};  ///< counts of data streams to try, in order
  Duration idle = std::chrono::seconds(1);             ///< of echoes on the idle line
  Duration settle = std::chrono::seconds(2);           ///< after the start of a load, not measured
  Duration load = std::chrono::seconds(5);             ///< measured, for each count of streams
  Duration echo = std::chrono::milliseconds(50);       ///< from one to the next
  /// Messages of a load on their way at once: so many that no stream runs dry.
  std::size_t ahead = 5 * secure::kMaxStreams;
};

/// Bits per second; more than any line carries, and so than anybody is believed.
inline constexpr double kFastestLine = 1e15;

/// One load: `streams` connections that always have something to send, and echoes beside them.
struct Trial {
  std::uint16_t streams = 0;
  double rate = 0;        ///< payload that arrived, bits per second
  Duration round_trip{};  ///< median of the echoes; of 0 when none came back
  Duration slowest{};     ///< of the echoes
  double loss = 0;        ///< packets sent again, of those sent
  std::size_t echoes = 0;
};

struct LineReport {
  Duration round_trip{};  ///< of the idle line: median of the echoes of 64 bytes
  Duration fastest{};     ///< least of them
  std::vector<Trial> trials;
  /// The fewest streams that reach 97 % of the best rate.
  const Trial& best() const;
};

/// Answers probes on one channel for as long as it lives.
/// Thread: made and destroyed on the channel's executor. Memory: one message and some KiB of
///   answers; a client that asks for more than it reads, or for anything else, is closed.
class ProbeServer {
 public:
  /// `over` runs once, when the peer has closed; it may destroy this.
  ProbeServer(std::unique_ptr<Channel> channel, std::function<void()> over);

 private:
  void receive(Message message);
  std::unique_ptr<Channel> channel_;
};

/// Opens a channel with so many data streams to the other end of the line.
using OpenChannel = std::function<void(
    std::uint16_t streams, std::function<void(Result<std::unique_ptr<Channel>>)> opened)>;

/// Measures the line: echoes while it is idle, then a trial for each count of streams, each over
/// a channel of its own. `done` runs once on `executor`. Takes about idle + n (settle + load).
/// Failure: what `open` or the channel says; kProto for an answer of another form, or with figures
/// that cannot be; kTimedOut when a trial is not answered 30 s after its end.
void measure(Executor& executor, ProbeOptions options, OpenChannel open,
             std::function<void(Result<LineReport>)> done);

}  // namespace reef::link
