#include "security/handshake/handshake.h"

#include <algorithm>

namespace reef::security {
namespace {

Error refused() { return {Code::kProto, "handshake", "a message does not verify"}; }
Error misuse(std::string what) { return {Code::kInternal, "handshake", std::move(what)}; }

bool uses(const Pattern& pattern, Token token, bool initiator) {
  for (std::size_t i = 0; i < pattern.messages.size(); ++i) {
    if ((i % 2 == 0) != initiator) continue;
    const auto& tokens = pattern.messages[i];
    if (std::find(tokens.begin(), tokens.end(), token) != tokens.end()) return true;
  }
  return false;
}

PublicKey key_from(BytesView bytes) {
  PublicKey key;
  std::copy_n(bytes.begin(), kKeySize, key.begin());
  return key;
}

KeyView key_view(const SecretBytes& secret) { return KeyView(secret.data(), kKeySize); }

}  // namespace

Result<HandshakeState> HandshakeState::create(HandshakeConfig config) {
  std::optional<Pattern> pattern = find_pattern(config.pattern);
  if (!pattern) return misuse("unknown pattern");
  if (config.suite.cipher == Cipher::kAesGcm && !has_aes()) {
    return misuse("this processor has no AES instructions");
  }
  const bool i = config.initiator;
  const bool static_needed =
      (i ? pattern->initiator_known : pattern->responder_known) || uses(*pattern, Token::s, i);
  const bool peer_needed = i ? pattern->responder_known : pattern->initiator_known;
  const bool psk_needed = uses(*pattern, Token::psk, true) || uses(*pattern, Token::psk, false);
  if (static_needed && config.static_secret.size() != kKeySize) return misuse("no static key");
  if (peer_needed != config.peer_static.has_value()) return misuse("peer's static key");
  if (psk_needed != (config.psk_later || config.psk.size() == kKeySize)) {
    return misuse("pre-shared key");
  }
  if (config.fixed_ephemeral.size() != 0 && config.fixed_ephemeral.size() != kKeySize) {
    return misuse("ephemeral key");
  }
  return HandshakeState(std::move(*pattern), std::move(config));
}

HandshakeState::HandshakeState(Pattern pattern, HandshakeConfig config)
    : pattern_(std::move(pattern)),
      initiator_(config.initiator),
      psk_mode_(config.psk_later || config.psk.size() != 0),
      symmetric_(pattern_.name, config.suite),
      static_secret_(std::move(config.static_secret)),
      fixed_ephemeral_(std::move(config.fixed_ephemeral)),
      psk_(std::move(config.psk)),
      remote_static_(config.peer_static) {
  if (static_secret_.size() != 0) static_public_ = x25519_public(key_view(static_secret_));
  symmetric_.mix_hash(config.prologue);
  // Pre-messages, the initiator's first.
  if (pattern_.initiator_known) symmetric_.mix_hash(initiator_ ? static_public_ : *remote_static_);
  if (pattern_.responder_known) symmetric_.mix_hash(initiator_ ? *remote_static_ : static_public_);
}

bool HandshakeState::my_turn() const { return !finished() && (next_ % 2 == 0) == initiator_; }

/// Whether the next message mixes in a key that has not come.
bool HandshakeState::lacks_psk() const {
  const auto& tokens = pattern_.messages[next_];
  return psk_.size() != kKeySize &&
         std::find(tokens.begin(), tokens.end(), Token::psk) != tokens.end();
}

bool HandshakeState::mix_dh(SymmetricState& symmetric, Token token,
                            const std::optional<PublicKey>& remote_static,
                            const std::optional<PublicKey>& remote_ephemeral) const {
  // The first letter is the initiator's key, the second the responder's.
  const bool first_is_e = token == Token::ee || token == Token::es;
  const bool second_is_e = token == Token::ee || token == Token::se;
  const SecretBytes& mine =
      (initiator_ ? first_is_e : second_is_e) ? ephemeral_secret_ : static_secret_;
  const std::optional<PublicKey>& theirs =
      (initiator_ ? second_is_e : first_is_e) ? remote_ephemeral : remote_static;
  if (mine.size() != kKeySize || !theirs) return false;
  std::array<std::byte, kKeySize> shared;
  const WipeAtExit wipe_shared(shared);
  if (!x25519(shared, key_view(mine), *theirs)) return false;
  symmetric.mix_key(shared);
  return true;
}

Result<Bytes> HandshakeState::write(BytesView payload) {
  if (dead_ || !my_turn()) return misuse("not our turn to write");
  if (lacks_psk()) return misuse("pre-shared key");
  Bytes out;
  for (Token token : pattern_.messages[next_]) {
    switch (token) {
      case Token::e:
        ephemeral_secret_ = fixed_ephemeral_.size() != 0 ? std::move(fixed_ephemeral_)
                                                         : SecretBytes::random(kKeySize);
        ephemeral_public_ = x25519_public(key_view(ephemeral_secret_));
        out.insert(out.end(), ephemeral_public_.begin(), ephemeral_public_.end());
        symmetric_.mix_hash(ephemeral_public_);
        if (psk_mode_) symmetric_.mix_key(ephemeral_public_);
        break;
      case Token::s:
        symmetric_.encrypt_and_hash(out, static_public_);
        break;
      case Token::psk:
        symmetric_.mix_key_and_hash(psk_.view());
        break;
      default:
        if (!mix_dh(symmetric_, token, remote_static_, remote_ephemeral_)) {
          dead_ = true;
          return refused();
        }
    }
  }
  symmetric_.encrypt_and_hash(out, payload);
  ++next_;
  return out;
}

Result<Bytes> HandshakeState::read(BytesView message) {
  if (dead_ || finished() || my_turn()) return misuse("not our turn to read");
  if (lacks_psk()) return misuse("pre-shared key");
  // Everything happens on copies; they replace the state only when the whole message verified.
  dead_ = true;
  SymmetricState symmetric = symmetric_.clone();
  std::optional<PublicKey> remote_static = remote_static_;
  std::optional<PublicKey> remote_ephemeral = remote_ephemeral_;
  for (Token token : pattern_.messages[next_]) {
    switch (token) {
      case Token::e: {
        if (message.size() < kKeySize) return refused();
        remote_ephemeral = key_from(message);
        message = message.subspan(kKeySize);
        symmetric.mix_hash(*remote_ephemeral);
        if (psk_mode_) symmetric.mix_key(*remote_ephemeral);
        break;
      }
      case Token::s: {
        const std::size_t size = symmetric.has_key() ? kKeySize + kTagSize : std::size_t{kKeySize};
        Bytes key;
        if (message.size() < size) return refused();
        if (!symmetric.decrypt_and_hash(key, message.first(size))) return refused();
        remote_static = key_from(key);
        message = message.subspan(size);
        break;
      }
      case Token::psk:
        symmetric.mix_key_and_hash(psk_.view());
        break;
      default:
        if (!mix_dh(symmetric, token, remote_static, remote_ephemeral)) return refused();
    }
  }
  Bytes payload;
  if (!symmetric.decrypt_and_hash(payload, message)) return refused();

  symmetric_ = std::move(symmetric);
  remote_static_ = remote_static;
  remote_ephemeral_ = remote_ephemeral;
  ++next_;
  dead_ = false;
  return payload;
}

Session HandshakeState::split() {
  CHECK(finished() && !dead_) << "split before the handshake has finished, or twice";
  dead_ = true;
  Session session;
  session.handshake_hash = symmetric_.hash();
  if (initiator_) {
    symmetric_.split(session.send, session.receive);
  } else {
    symmetric_.split(session.receive, session.send);
  }
  if (pattern_.one_way()) (initiator_ ? session.receive : session.send) = {};
  return session;
}

}  // namespace reef::security
