#pragma once
// The sealed channel to the node that has the outer store of another island, lost and opened again
// for as long as the two are to meet.

#include <functional>
#include <memory>

#include "runtime/link/channel/channel.h"
#include "runtime/link/channel/streams.h"
#include "runtime/link/loop.h"
#include "runtime/node/identity.h"
#include "runtime/node/protocol.h"
#include "runtime/node/sessions.h"

namespace reef::node {

/// Where partners are met; what it refers to outlives them.
struct PartnerSite {
  link::Loop& loop;
  const Identity& identity;
  Sessions& sessions;
  Duration lost_after{};           ///< of silence, of which a quarter is broken by a ping
  std::size_t largest_letter = 0;  ///< bytes of payload
};

/// One partner of one meeting. Whoever dials does so until it is answered; the other waits. The one
/// that waits answers with its credential, so that the dialler, too, knows that it was expected:
/// only then is the partner there. Until a partner knows of the meeting, its node keeps our streams
/// for a while (Node::gathered). Thread: the loop's. Order: on_changed(true), letters in order of
/// send, on_changed(false), and so on. Failure: whatever becomes of the channel, what the partner
/// sends and what it may not included, it is closed and opened anew: no job fails by another's.
/// Destruction: says farewell; no callback runs any more.
class PartnerChannel {
 public:
  struct Callbacks {
    std::function<void(Letter)> on_letter;
    std::function<void(bool present)> on_changed;
  };

  PartnerChannel(const PartnerSite& site, std::uint64_t meeting, Partner partner,
                 Callbacks callbacks);
  ~PartnerChannel();
  PartnerChannel(const PartnerChannel&) = delete;
  PartnerChannel& operator=(const PartnerChannel&) = delete;

  /// Dials, if that is ours to do. Once.
  void begin();
  /// Whether this one waits for a peer of that name and key.
  bool expects(const security::Credential& peer) const;
  /// The partner dialled us: expects() its peer. They take the place of a channel that there is,
  /// since a partner that was cut off knows it sooner than we may.
  void accepted(link::Streams streams);

  /// As link::Channel; kClosed at once while there is none.
  void send(link::Message message, link::Done done);
  /// Shows our renewed credential.
  void present(const Bytes& credential);
  /// Gives the channel up for this reason.
  void lost(const Error& why);

  const Partner& partner() const { return partner_; }
  /// Sent on all the channels that there have been.
  std::uint64_t wire_bytes() const;

 private:
  void dial();
  void dial_later();
  void dialled(Result<link::Streams> streams);
  void not_there(const Error& why);
  void opened(link::Streams streams);
  void came();
  Status take(const link::Message& message);
  std::string name() const;

  const PartnerSite site_;
  const std::uint64_t meeting_;
  const Partner partner_;
  const Callbacks callbacks_;
  std::unique_ptr<link::Channel> channel_;
  Sessions::Id session_ = 0;
  bool present_ = false;
  Time since_{};             ///< when it came
  std::uint64_t dials_ = 0;  ///< so far
  Duration pause_{};         ///< before the last of them
  bool absent_ = false;      ///< which has been said
  std::uint64_t past_bytes_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< dials in flight may outlive us
};

}  // namespace reef::node
