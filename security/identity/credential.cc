#include "security/identity/credential.h"

#include "security/identity/encoding.h"

namespace reef::security {
namespace {

// Signed credential:
//   version u8 = 1 | role u8 | cluster 32 | noise key 32 | identity key 32 | not_after u64 |
//   serial u64 | name length u8 | name | datacenter length u8 | datacenter | signature 64
// The signature covers the context string below and everything before it.
constexpr std::string_view kContext = "atoll credential 1";
constexpr std::byte kFormat{1};

Error malformed() { return {Code::kProto, "credential", "it is malformed"}; }

}  // namespace

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kClient:
      return "client";
    case Role::kScheduler:
      return "scheduler";
    case Role::kNode:
      return "node";
  }
  return "unknown";
}

Result<Role> role_named(std::string_view name) {
  for (const Role role : {Role::kClient, Role::kScheduler, Role::kNode}) {
    if (role_name(role) == name) return role;
  }
  return Error{Code::kUsage, "role " + std::string(name), "is not one of client, scheduler, node"};
}

NodeId node_id(const PublicKey& identity_key) { return blake2b_256({identity_key}); }
NodeId Credential::node_id() const { return security::node_id(identity_key); }

Result<Bytes> encode_credential(const Credential& credential) {
  if (!valid_name(credential.name) || !valid_name(credential.datacenter)) {
    return Error{Code::kUsage, "credential",
                 "name and datacenter are 1 to 255 bytes of UTF-8 without control characters"};
  }
  Bytes out;
  out.push_back(kFormat);
  out.push_back(static_cast<std::byte>(credential.role));
  append(out, BytesView(credential.cluster));
  append(out, BytesView(credential.noise_key));
  append(out, BytesView(credential.identity_key));
  append(out, credential.not_after);
  append(out, credential.serial);
  append_name(out, credential.name);
  append_name(out, credential.datacenter);
  return out;
}

Result<Credential> parse_credential(BytesView signed_credential) {
  if (signed_credential.size() > kMaxCredential) return malformed();
  if (signed_credential.size() < kSignatureSize) return malformed();
  Reader reader(signed_credential.first(signed_credential.size() - kSignatureSize));
  Credential credential;
  const bool known_format = reader.byte() == std::to_integer<std::uint8_t>(kFormat);
  credential.role = static_cast<Role>(reader.byte());
  reader.array(credential.cluster);
  reader.array(credential.noise_key);
  reader.array(credential.identity_key);
  credential.not_after = reader.number();
  credential.serial = reader.number();
  credential.name = reader.name();
  credential.datacenter = reader.name();
  if (!known_format || !known_role(credential.role) || !reader.finished()) return malformed();
  if (!valid_name(credential.name) || !valid_name(credential.datacenter)) return malformed();
  return credential;
}

Result<Credential> verify_issued(BytesView signed_credential, const PublicKey& authority) {
  ATOLL_ASSIGN(Credential credential, parse_credential(signed_credential));
  const BytesView body = signed_credential.first(signed_credential.size() - kSignatureSize);
  Bytes message = to_bytes(as_bytes(kContext));
  append(message, body);
  if (!ed25519_verify(signed_credential.last(kSignatureSize), authority, message)) {
    return Error{Code::kRefused, "credential", "it is not signed by this cluster's authority"};
  }
  return credential;
}

Result<Credential> verify_credential(BytesView signed_credential, const PublicKey& authority,
                                     const ClusterId& cluster, std::uint64_t unix_now) {
  ATOLL_ASSIGN(Credential credential, verify_issued(signed_credential, authority));
  const auto refused = [&credential](std::string what) {
    return Error{Code::kRefused, "credential of " + credential.name, std::move(what)};
  };
  if (credential.cluster != cluster) return refused("it is for another cluster");
  if (unix_now > credential.not_after) {
    return refused("it expired " + std::to_string(unix_now - credential.not_after) +
                   " s ago; ask the scheduler for a new one");
  }
  return credential;
}

std::uint64_t random_serial() {
  std::array<std::byte, 8> bytes;
  random_bytes(bytes);
  return load<std::uint64_t>(bytes.data()) >> 1 | 1;
}

Result<Bytes> sign_credential(const Credential& credential, KeyView seed) {
  ATOLL_ASSIGN(Bytes body, encode_credential(credential));
  Bytes message = to_bytes(as_bytes(kContext));
  append(message, body);
  append(body, BytesView(ed25519_sign(seed, message)));
  return body;
}

}  // namespace reef::security
