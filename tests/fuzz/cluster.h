#pragma once
// A cluster whose keys are always the same, so that what one run recorded another can replay.

#include <memory>
#include <string>

#include "runtime/link/secure/secure_link.h"
#include "security/crypto/text.h"
#include "security/identity/cluster_policy.h"
#include "security/identity/grant.h"
#include "security/identity/keys.h"
#include "security/identity/token.h"
#include "tests/fuzz/fuzz.h"

namespace reef::fuzz {

/// One authority, a scheduler who accepts and a node who dials. It is always kNow there.
struct Cluster {
  static constexpr std::uint64_t kNow = 1'000'000;
  /// The node's: the second of two.
  static constexpr link::secure::StreamId kStream{.stream = 1, .streams = 2, .bundle = {}};

  /// The files, as NodeKey and Authority save them.
  static std::string key_file(char seed) {
    return "atoll-node-key-1\n" + std::string(32, seed) +
           std::string(32, static_cast<char>(seed + 1));
  }
  static std::string authority_file() { return "atoll-authority-1\n" + std::string(32, 'a'); }
  static std::shared_ptr<const security::NodeKey> key(char seed) {
    return std::make_shared<const security::NodeKey>(
        security::NodeKey::load(put("node.key", as_bytes(key_file(seed)))).value());
  }

  security::Authority authority =
      security::Authority::load(put("authority.key", as_bytes(authority_file()))).value();
  std::shared_ptr<const security::NodeKey> scheduler = key('s');
  std::shared_ptr<const security::NodeKey> node = key('n');
  /// The only one that the scheduler knows.
  std::shared_ptr<const security::EnrolmentToken> token =
      std::make_shared<const security::EnrolmentToken>(security::EnrolmentToken{
          scheduler->noise_key(),
          {std::byte{'t'}},
          security::SecretBytes::copy_of(Bytes(security::kKeySize, std::byte{'t'}))});

  security::Credential credential(security::Role role) const {
    const bool is_node = role == security::Role::kNode;
    const security::NodeKey& key = is_node ? *node : *scheduler;
    security::Credential credential;
    credential.cluster = authority.cluster();
    credential.name = is_node ? "node-1" : "scheduler";
    credential.noise_key = key.noise_key();
    credential.identity_key = key.identity_key();
    credential.role = role;
    credential.datacenter = "here";
    credential.not_after = kNow + 1;
    credential.serial = 1;
    return credential;
  }
  link::secure::Local local(security::Role role) const {
    link::secure::Local local;
    local.key = role == security::Role::kNode ? node : scheduler;
    local.credential = authority.issue(credential(role)).value();
    local.authority = authority.public_key();
    local.cluster = authority.cluster();
    local.role = role;
    local.unix_now = [] { return kNow; };
    if (role == security::Role::kScheduler) {
      local.token_psk = [this](const security::TokenId& id) -> Result<security::SecretBytes> {
        if (id != token->id) return Error{Code::kRefused, "token", "is not known"};
        return security::proof_of(token->secret.view()).psk;
      };
    }
    local.counters = std::make_shared<link::secure::Counters>();
    return local;
  }
  link::secure::ExpectedPeer expected() const {
    return {scheduler->noise_key(), security::Role::kScheduler};
  }
  /// What both ends of a handshake with the scheduler must agree on (docs/protocol.md).
  Bytes prologue(std::uint16_t stream) const {
    Bytes out = to_bytes(as_bytes(link::secure::kMagic));
    // Who enrols does not know the cluster yet.
    const bool enrols = stream == link::secure::kEnrolStream;
    const security::ClusterId cluster = enrols ? security::ClusterId{} : authority.cluster();
    out.insert(out.end(), cluster.begin(), cluster.end());
    const Bytes rest = suite(stream);
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
  }
  Bytes preamble(std::uint16_t stream) const {
    Bytes out = to_bytes(as_bytes(link::secure::kMagic));
    const Bytes rest = suite(stream);
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
  }

  /// What the node says in the third message.
  Bytes third_payload() const {
    const Bytes credential = local(security::Role::kNode).credential;
    return Output()
        .rest(kStream.bundle)
        .number(kStream.streams)
        .number(kStream.purpose)
        .number(kStream.epoch)
        .rest(credential)
        .bytes();
  }

  /// What a machine that enrols as the node gets.
  security::Grant grant() const {
    return {local(security::Role::kNode).credential, authority.public_key(), scheduler->noise_key(),
            security::sign_policy({}, authority).value()};
  }
  /// Lines of any form under the authority's signature.
  std::string signed_text(std::string_view body) const {
    return std::string(body) + "signature: " + security::to_base64(authority.sign(as_bytes(body))) +
           "\n";
  }

  static const Cluster& get() {
    static const Cluster cluster;
    return cluster;
  }

 private:
  static Bytes suite(std::uint16_t stream) {
    return Output()
        .number(static_cast<std::uint16_t>(link::secure::kVersion))
        .number(link::secure::SuiteId::kChaChaPoly)
        .number(security::Role::kScheduler)
        .number(stream)
        .bytes();
  }
};

}  // namespace reef::fuzz
