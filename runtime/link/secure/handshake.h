#pragma once
// How two ends of a sealed link come to know each other: frames in, frames out, no line and no
// clock but the one that credentials are dated by.
//
//   XK:  <- s
//        ...
//        -> e, es            preamble in clear before it
//        <- e, ee            payload: the responder's credential
//        -> s, se            payload: which stream of which bundle, the initiator's credential
//        <- PING or CLOSE    the first record: whether that credential was accepted
//
//   XKpsk3, on kEnrolStream, where the initiator has a token and no credential:
//        -> e, es            payload: the token's id
//        <- e, ee
//        -> s, se, psk       whoever gets this far holds the token's secret
//        <- PING

#include <optional>
#include <string>

#include "runtime/link/secure/secure_link.h"
#include "security/handshake/handshake.h"

namespace reef::link::secure {

/// One end of one handshake. Thread: one. Failure: kProto for a stranger or a changed message,
/// kRefused for a credential; after one the handshake is dead.
class Handshake {
 public:
  /// The acceptor learns the stream from the peer. `local` must outlive it; `peer_name` is for
  /// complaints.
  Handshake(const Local& local, bool initiator, const ExpectedPeer& expected,
            const StreamId& stream, std::string peer_name);

  /// The initiator's first frame.
  Result<Bytes> open();
  /// Takes the peer's next frame; returns what to answer, which may be nothing.
  Result<Bytes> read(BytesView frame);

  /// The peer has proven its key, and records may follow.
  bool complete() const { return complete_; }
  /// The acceptor's, once complete: whether the peer's credential is accepted. The peer is told so
  /// in the first record, but not why.
  const Status& verdict() const { return verdict_; }
  const security::Credential& peer() const { return peer_; }
  const StreamId& stream() const { return stream_; }
  /// The keys of the session; once, when complete.
  security::Session split() { return state_->split(); }

 private:
  Status create();
  Result<Bytes> read_next(BytesView frame);
  bool enrolling() const { return stream_.stream == kEnrolStream; }
  SuiteId suite() const;
  Status take_token(BytesView id);
  Result<Bytes> read_first(BytesView frame);
  Result<Bytes> read_second(BytesView frame);
  Result<Bytes> read_third(BytesView frame);
  Status check_peer(BytesView credential);

  const Local& local_;
  bool initiator_;
  ExpectedPeer expected_;
  StreamId stream_;
  std::string peer_name_;
  std::optional<security::HandshakeState> state_;
  security::Credential peer_;
  bool complete_ = false;
  bool dead_ = false;
  Status token_;  ///< why the acceptor has no key for the token that the peer named
  Status verdict_;
};

}  // namespace reef::link::secure
