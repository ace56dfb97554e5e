#include "security/identity/grant.h"

#include "security/identity/encoding.h"

namespace reef::security {
namespace {

// version u8 = 1 | authority 32 | scheduler 32 | credential length u16 | credential |
// policy length u16 | policy
constexpr std::byte kFormat{1};

}  // namespace

Bytes encode_grant(const Grant& grant) {
  Bytes out{kFormat};
  append(out, BytesView(grant.authority));
  append(out, BytesView(grant.scheduler));
  append_block(out, grant.credential);
  append_block(out, as_bytes(grant.policy));
  return out;
}

Result<Grant> parse_grant(BytesView bytes) {
  const Error malformed{Code::kProto, "grant", "it is malformed"};
  if (bytes.size() > kMaxGrant) return malformed;
  Reader reader(bytes);
  Grant grant;
  const bool known_format = reader.byte() == std::to_integer<std::uint8_t>(kFormat);
  reader.array(grant.authority);
  reader.array(grant.scheduler);
  grant.credential = to_bytes(reader.block());
  grant.policy = std::string(as_text(reader.block()));
  const bool small =
      grant.credential.size() <= kMaxCredential && grant.policy.size() <= kMaxClusterPolicy;
  if (!known_format || !small || !reader.finished()) return malformed;
  return grant;
}

Result<Credential> check_grant(const Grant& grant, const NodeKey& key, std::uint64_t unix_now) {
  ATOLL_ASSIGN(Credential credential, verify_credential(grant.credential, grant.authority,
                                                        cluster_id_of(grant.authority), unix_now));
  if (credential.noise_key != key.noise_key() || credential.identity_key != key.identity_key()) {
    return Error{Code::kRefused, "credential of " + credential.name, "it is for another key"};
  }
  if (!grant.policy.empty()) ATOLL_TRY(verify_policy(grant.policy, grant.authority));
  return credential;
}

}  // namespace reef::security
