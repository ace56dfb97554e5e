#pragma once
// HandshakeState of the Noise specification, section 5.3, over the pattern table. Pure computation:
// no sockets, no clock, so that it can be held against the public vectors.

#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/error.h"
#include "security/crypto/crypto.h"
#include "security/handshake/pattern.h"
#include "security/handshake/symmetric.h"

namespace reef::security {

/// What one side brings to a handshake. Keys that the pattern does not use may be absent.
struct HandshakeConfig {
  std::string_view pattern = "XK";
  Suite suite;
  bool initiator = true;
  Bytes prologue;
  SecretBytes static_secret;
  std::optional<PublicKey> peer_static;  ///< where the pattern knows it beforehand
  SecretBytes psk;                       ///< of the pattern's psk modifiers
  bool psk_later = false;                ///< give_psk() brings it, before it is mixed in
  SecretBytes fixed_ephemeral;           ///< tests only: the vectors prescribe it
};

/// The transport ciphers and the hash that names the session (for channel binding).
struct Session {
  CipherState send;
  CipherState receive;  ///< of a one-way pattern a side has only one of the two
  Digest handshake_hash;
};

/// One side of one handshake: messages are written and read alternately, the initiator first.
/// Thread: one at a time. Memory: secrets are wiped when it is destroyed.
/// Failure: after an error the handshake is dead; each call then fails. A message is verified
/// completely before anything of it is committed.
class HandshakeState {
 public:
  /// kInternal when the pattern is unknown, a key that it needs is absent or this processor lacks
  /// the cipher's instructions: the caller's mistake.
  static Result<HandshakeState> create(HandshakeConfig config);
  HandshakeState(HandshakeState&&) = default;
  HandshakeState& operator=(HandshakeState&&) = default;

  /// The pre-shared key of a handshake made with `psk_later`: which one it is, an acceptor may
  /// learn only from an earlier message. Until then, a message that mixes it in is kInternal.
  void give_psk(SecretBytes psk) { psk_ = std::move(psk); }

  bool my_turn() const;
  bool finished() const { return next_ == pattern_.messages.size(); }
  /// Writes the next message with `payload` inside.
  Result<Bytes> write(BytesView payload);
  /// Reads the peer's next message and returns its payload; kProto for anything that does not
  /// verify.
  Result<Bytes> read(BytesView message);
  /// The peer's static key: proven once the message that holds its DH has been read.
  const std::optional<PublicKey>& peer_static() const { return remote_static_; }
  /// The transport ciphers, once, after finished().
  Session split();

 private:
  HandshakeState(Pattern pattern, HandshakeConfig config);
  bool lacks_psk() const;
  [[nodiscard]] bool mix_dh(SymmetricState& symmetric, Token token,
                            const std::optional<PublicKey>& remote_static,
                            const std::optional<PublicKey>& remote_ephemeral) const;

  Pattern pattern_;
  bool initiator_;
  bool dead_ = false;
  bool psk_mode_;
  std::size_t next_ = 0;
  SymmetricState symmetric_;
  SecretBytes static_secret_;
  PublicKey static_public_{};
  SecretBytes ephemeral_secret_;
  SecretBytes fixed_ephemeral_;
  SecretBytes psk_;
  PublicKey ephemeral_public_{};
  std::optional<PublicKey> remote_static_;
  std::optional<PublicKey> remote_ephemeral_;
};

}  // namespace reef::security
