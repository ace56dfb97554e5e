#pragma once
// Several sealed links to one peer that make up one channel: a long line with losses is filled by
// many connections, each of which has its own congestion window.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/link/loop.h"
#include "runtime/link/secure/secure_link.h"
#include "runtime/link/tcp/tcp.h"

namespace reef::link {

/// The first is the control lane's, unless it is alone: see Channel::create.
using Streams = std::vector<std::unique_ptr<secure::SecureLink>>;

struct StreamOptions {
  secure::Purpose purpose = secure::Purpose::kWork;
  std::uint64_t epoch = 0;          ///< of the job that they are for; 0: for none
  std::uint16_t data = 0;           ///< streams beside the first, at most secure::kMaxStreams - 1
  tcp::SocketOptions control = {};  ///< of the first
  tcp::SocketOptions socket = {};   ///< of the others
};

/// Opens the plain link under one stream: a dial, or a way through a relay.
using OpenStream =
    std::function<void(const secure::StreamId&, const tcp::SocketOptions&, Deadline, tcp::Dialled)>;

/// Opens all of them, each with its own handshake. `done` runs once on the loop, with the error of
/// the first that fails: then all are given up.
void connect_streams(const OpenStream& open, const secure::Local& local,
                     const secure::ExpectedPeer& expected, const StreamOptions& options,
                     Deadline deadline, std::function<void(Result<Streams>)> done);
/// The same, dialling host:port.
void connect_streams(Loop& loop, const std::string& host, std::uint16_t port,
                     const secure::Local& local, const secure::ExpectedPeer& expected,
                     const StreamOptions& options, Deadline deadline,
                     std::function<void(Result<Streams>)> done);

/// Puts accepted links together again.
/// Thread: the loop's. Memory: at most kMost incomplete bundles, kMostOfOne of them of one peer; a
/// link that begins one more is closed. Failure: a bundle that is not complete within
/// secure::kHandshakeTime is closed.
class StreamGatherer {
 public:
  static constexpr std::size_t kMost = 256;
  static constexpr std::size_t kMostOfOne = 4;
  using Complete = std::function<void(Streams)>;

  StreamGatherer(Executor& executor, Complete complete);
  StreamGatherer(const StreamGatherer&) = delete;
  StreamGatherer& operator=(const StreamGatherer&) = delete;

  /// `complete` runs inline when this was the last of its bundle. A link that does not belong (a
  /// stream twice, another number of streams) is closed with all of its bundle.
  void add(std::unique_ptr<secure::SecureLink> link);

 private:
  /// Whose bundle: nobody can add to another's.
  using Key = std::pair<security::PublicKey, std::array<std::byte, secure::kBundleSize>>;
  struct Bundle {
    Streams links;  ///< by number; null until it has come
    std::size_t missing = 0;
  };

  Executor& executor_;
  Complete complete_;
  std::map<Key, Bundle> bundles_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< timers may outlive us
};

}  // namespace reef::link
