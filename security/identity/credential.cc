#include "security/identity/credential.h"

#include <algorithm>

#include "runtime/base/utf8.h"

namespace reef::security {
namespace {

// Signed credential:
//   version u8 = 1 | role u8 | cluster 32 | noise key 32 | identity key 32 | not_after u64 |
//   serial u64 | name length u8 | name | datacenter length u8 | datacenter | signature 64
// The signature covers the context string below and everything before it.
constexpr std::string_view kContext = "atoll credential 1";
constexpr std::byte kFormat{1};

Error malformed() { return {Code::kProto, "credential", "it is malformed"}; }

bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && one_line(name) == name;
}

void append(Bytes& out, BytesView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void append(Bytes& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

/// Takes from the front of untrusted bytes; once it has failed, everything it gives is empty or
/// zero.
class Reader {
 public:
  explicit Reader(BytesView bytes) : rest_(bytes) {}

  BytesView take(std::size_t size) {
    if (size > rest_.size()) {
      good_ = false;
      rest_ = {};
      return {};
    }
    const BytesView front = rest_.first(size);
    rest_ = rest_.subspan(size);
    return front;
  }
  std::uint8_t byte() {
    const BytesView one = take(1);
    return one.empty() ? 0 : std::to_integer<std::uint8_t>(one[0]);
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    const BytesView bytes = take(8);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    }
    return value;
  }
  void array(std::array<std::byte, 32>& to) {
    const BytesView bytes = take(to.size());
    std::copy(bytes.begin(), bytes.end(), to.begin());
  }
  std::string name() { return std::string(as_text(take(byte()))); }
  bool finished() const { return good_ && rest_.empty(); }

 private:
  BytesView rest_;
  bool good_ = true;
};

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

NodeId node_id(const PublicKey& identity_key) { return blake2b_256({identity_key}); }
NodeId Credential::node_id() const { return security::node_id(identity_key); }

Result<Bytes> encode_credential(const Credential& credential) {
  if (!good_name(credential.name) || !good_name(credential.datacenter)) {
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
  for (const std::string& name : {credential.name, credential.datacenter}) {
    out.push_back(static_cast<std::byte>(name.size()));
    append(out, as_bytes(name));
  }
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
  const bool known_role = credential.role == Role::kClient || credential.role == Role::kScheduler ||
                          credential.role == Role::kNode;
  if (!known_format || !known_role || !reader.finished()) return malformed();
  if (!good_name(credential.name) || !good_name(credential.datacenter)) return malformed();
  return credential;
}

Result<Credential> verify_credential(BytesView signed_credential, const PublicKey& authority,
                                     const ClusterId& cluster, std::uint64_t unix_now) {
  ATOLL_ASSIGN(Credential credential, parse_credential(signed_credential));
  const BytesView body = signed_credential.first(signed_credential.size() - kSignatureSize);
  Bytes message = to_bytes(as_bytes(kContext));
  append(message, body);
  const auto refused = [&credential](std::string what) {
    return Error{Code::kRefused, "credential of " + credential.name, std::move(what)};
  };
  if (!ed25519_verify(signed_credential.last(kSignatureSize), authority, message)) {
    return Error{Code::kRefused, "credential", "it is not signed by this cluster's authority"};
  }
  if (credential.cluster != cluster) return refused("it is for another cluster");
  if (unix_now > credential.not_after) {
    return refused("it expired " + std::to_string(unix_now - credential.not_after) +
                   " s ago; ask the scheduler for a new one");
  }
  return credential;
}

Result<Bytes> sign_credential(const Credential& credential, KeyView seed) {
  ATOLL_ASSIGN(Bytes body, encode_credential(credential));
  Bytes message = to_bytes(as_bytes(kContext));
  append(message, body);
  append(body, BytesView(ed25519_sign(seed, message)));
  return body;
}

}  // namespace reef::security
