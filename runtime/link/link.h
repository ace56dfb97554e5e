#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "runtime/base/bytes.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/link/executor.h"

namespace reef::link {

using Done = std::function<void(Status)>;
using FrameHandler = std::function<void(Bytes frame)>;
using ClosedHandler = std::function<void(Error why)>;

/// The largest frame that any link carries: its length must fit the u16 on the wire.
inline constexpr std::size_t kMaxFrame = 65535;

/// What the transport below knows of its packets; zeros where it has none.
struct TransportStats {
  std::uint64_t packets = 0;        ///< with data, sent
  std::uint64_t retransmitted = 0;  ///< of them
  std::uint64_t acknowledged_bytes = 0;
  Duration busy{};        ///< while something was not yet acknowledged: the peer's delays included
  bool sending = false;   ///< now: more is under way than a peer delays the acknowledgement of
  double burst_rate = 0;  ///< bits per second, of the last round trip that was not short of bytes
  Duration round_trip{};  ///< now, smoothed
};

/// An ordered, reliable path of frames to one peer, so that whoever uses it need not know whether
/// the peer is a thread, a rack or an ocean away. Thread: send and close from any; handlers and
/// Done run on executor(), never inline in send. Order: frames arrive in the order of send; Done
/// runs in that order too. Memory: a frame is moved in and moved out. Frames that arrive before
/// start() wait with the sender. Failure: after the first Error every call completes with that
/// Error, and on_closed tells it once.
///   A peer that ends the connection is kPeerLost on a plain link: only a sealed link knows
///   farewells.
/// Destruction: closes, from any thread (it waits for the executor, so hold no lock that a callback
///   takes). Pending Dones have run when it returns; handlers, on_closed included, run no more.
class Link {
 public:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  virtual ~Link() = default;

  /// Begins delivery. Once only. `on_closed` runs exactly once, after the last frame.
  virtual void start(FrameHandler on_frame, ClosedHandler on_closed) = 0;
  /// Sends one frame of 1..max_frame() bytes; another size completes with kInternal and does no
  /// harm. `done` runs exactly once, when the frame has left the process or will never leave it. A
  /// frame that has not left at `deadline` fails the whole link with kTimedOut, since an ordered
  /// path cannot leave one out.
  virtual void send(Bytes frame, Deadline deadline, Done done) = 0;
  /// Takes no more work: pending sends complete with kClosed, then on_closed(kClosed) runs.
  virtual void close() = 0;

  /// Stops and resumes delivery; while stopped the peer is held back. Thread: executor() only.
  virtual void set_reading(bool reading) = 0;
  /// A longer arriving frame is refused with kProto before memory is taken for it. Thread:
  /// executor() only. Links inside one process may ignore it.
  virtual void set_frame_limit(std::size_t) {}

  virtual std::size_t max_frame() const = 0;
  /// Bytes taken by send that have not left yet.
  virtual std::size_t queued_bytes() const = 0;
  /// Since the start. Thread: executor() only.
  virtual TransportStats transport_stats() const { return {}; }
  /// For messages to people: "tcp 10.0.0.2:7000".
  virtual std::string peer_name() const = 0;
  virtual Executor& executor() = 0;
};

}  // namespace reef::link
