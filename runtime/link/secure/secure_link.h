#pragma once
// A sealed link over any other: Noise XK, credentials inside the handshake, then records.

#include <array>
#include <atomic>
#include <functional>
#include <memory>

#include "runtime/link/record_link.h"
#include "runtime/link/secure/wire.h"
#include "security/identity/credential.h"
#include "security/identity/keys.h"
#include "security/identity/token.h"

namespace reef::link::secure {

/// What happened to handshakes, for metrics. Shared by all links of a process.
struct Counters {
  std::atomic<std::uint64_t> established{0};
  std::atomic<std::uint64_t> garbage{0};    ///< did not speak our protocol, or not with our key
  std::atomic<std::uint64_t> refused{0};    ///< credential: signature, cluster, expiry, key, role
  std::atomic<std::uint64_t> timed_out{0};  ///< slow-loris included
  std::atomic<std::uint64_t> lost{0};       ///< went away in the middle
};

/// The machine's wall clock in unix seconds.
std::uint64_t system_unix_now();

/// Who we are and whom we believe. Copied into each handshake.
struct Local {
  std::shared_ptr<const security::NodeKey> key;
  Bytes credential;  ///< ours, signed
  security::PublicKey authority{};
  security::ClusterId cluster{};
  security::Role role = security::Role::kNode;  ///< ours: an acceptor refuses who dialled another
  /// The cluster's: who comes with another is a stranger. kAesGcm needs security::has_aes().
  SuiteId suite = SuiteId::kChaChaPoly;
  std::function<std::uint64_t()> unix_now = system_unix_now;
  std::shared_ptr<Counters> counters = nullptr;

  /// A silent line gets a PING each `ping_every`; nothing at all for `lost_after` is kTimedOut.
  /// Zero switches both off.
  Duration ping_every = std::chrono::seconds(5);
  Duration lost_after = std::chrono::seconds(20);
  std::uint64_t rekey_records = kRekeyRecords;
  Duration rekey_every = kRekeyTime;

  /// Asked once a peer's credential has verified: whether it was revoked. Null admits all.
  std::function<Status(const security::Credential&)> admit = nullptr;
  /// An acceptor's: the key of a token with which a machine may enrol, or why not, for our log
  /// alone. Null: nobody enrols here.
  std::function<Result<security::SecretBytes>(const security::TokenId&)> token_psk = nullptr;
  /// A dialler's, for kEnrolStream.
  std::shared_ptr<const security::EnrolmentToken> token = nullptr;
};

/// Whom the initiator means to reach. XK: without the right key the first message already fails.
struct ExpectedPeer {
  security::PublicKey noise_key{};
  security::Role role = security::Role::kScheduler;
};

/// Which of the links between two peers one is. Links that belong together share the bundle's id
/// and know how many they are; the id is random, or zero for a link alone.
struct StreamId {
  std::uint16_t stream = 0;   ///< 0 carries control, and everything when it is alone
  std::uint16_t streams = 1;  ///< of the bundle
  std::array<std::byte, kBundleSize> bundle{};
  Purpose purpose = Purpose::kWork;
  std::uint64_t epoch = 0;  ///< of the job that it is for; 0: for none
  bool operator==(const StreamId&) const = default;
};

/// Stream 0 carries CTRL records, every other stream DATA.
/// Failure, beyond Link's: a record that does not verify is kProto; the peer's farewell is kClosed;
/// an end without one is kPeerLost (truncation is not a farewell). Close: what was sent before goes
/// out before the farewell, within one second.
class SecureLink : public RecordLink {
 public:
  /// The verified identity of the other end. On kEnrolStream there is none yet: the Noise key is
  /// proven, the name is the token's id, and the role is none of those that a policy knows.
  virtual const security::Credential& peer() const = 0;
  virtual const StreamId& stream() const = 0;
  /// Instead of what Local said: an acceptor learns only now what a stream is for.
  virtual void keep_alive(Duration ping_every, Duration lost_after) = 0;
  /// The Noise handshake hash: the same at both ends, unique to the session.
  virtual const security::Digest& handshake_hash() const = 0;
};

using Established = std::function<void(Result<std::unique_ptr<SecureLink>>)>;

/// Dials: runs the handshake over `link` and hands out the sealed link once the acceptor has
/// verified our credential too. `done` runs once on link's executor; no later than `deadline` and
/// kHandshakeTime. Call start() before it returns, or frames wait with the peer. kRefused: their
/// credential or ours was not accepted; kPeerLost: they closed without a word (which is how a wrong
/// key looks); kTimedOut; kProto.
void connect(std::unique_ptr<Link> link, Local local, ExpectedPeer expected, StreamId stream,
             Deadline deadline, Established done);

/// Accepts. A stranger learns nothing: any failure closes the line in silence; `done` has the
/// reason.
void accept(std::unique_ptr<Link> link, Local local, Deadline deadline, Established done);

}  // namespace reef::link::secure
