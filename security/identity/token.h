#pragma once
// An enrolment token: one machine, once, for some minutes, may ask the scheduler for a credential.

#include <string>
#include <string_view>

#include "runtime/base/error.h"
#include "security/crypto/crypto.h"

namespace reef::security {

using TokenId = std::array<std::byte, 16>;

/// What `atoll token create` prints once: `v1.<scheduler's Noise key>.<id>.<secret>`, each part in
/// URL-safe base64 without padding. The key in it is what makes a token of another cluster useless.
struct EnrolmentToken {
  PublicKey scheduler{};
  TokenId id{};
  SecretBytes secret;  ///< 32 bytes

  static EnrolmentToken generate(const PublicKey& scheduler);
  /// As it is printed, in memory for secrets.
  SecretBytes text() const;
};

/// What the scheduler keeps of a token, from which its secret cannot be had. The handshake is keyed
/// with `psk`; `verifier` is the hash of what the holder must show inside it, so that who reads the
/// scheduler's database cannot enrol with what he finds there.
struct TokenProof {
  SecretBytes psk;  ///< keyed BLAKE2b of the secret
  Hash256 verifier{};
};
TokenProof proof_of(BytesView token_secret);

/// One line end after it is forgiven, since files have one. kData otherwise, without a word of what
/// was read.
Result<EnrolmentToken> parse_token(std::string_view text);

/// Reads it from a file that nobody else may read.
Result<EnrolmentToken> load_token(const std::string& path);

/// The id as users see it.
std::string token_name(const TokenId& id);

}  // namespace reef::security
