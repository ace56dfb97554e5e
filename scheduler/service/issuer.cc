#include "scheduler/service/issuer.h"

#include "security/crypto/text.h"
#include "security/identity/request.h"

namespace reef::service {
namespace {

constexpr std::uint64_t kLongestTtl = 7 * 24 * 3600;

Error no_authority(const std::string& who) {
  return {Code::kRefused, who,
          "this scheduler has no authority key (--authority), so it gives out no credentials; "
          "'atoll keys sign' does"};
}

MemberRecord member_of(const security::Credential& credential) {
  return {credential.name,       std::string(role_name(credential.role)),
          credential.datacenter, security::to_hex(credential.node_id()),
          credential.serial,     credential.not_after};
}

}  // namespace

Result<security::EnrolmentToken> create_token(Store& store, const security::PublicKey& scheduler,
                                              security::Role role, const std::string& datacenter,
                                              std::uint64_t unix_now, std::uint64_t ttl) {
  if (role == security::Role::kScheduler)
    return Error{Code::kUsage, "--role", "a scheduler does not enrol; use 'atoll keys sign'"};
  if (ttl == 0 || ttl > kLongestTtl)
    return Error{Code::kUsage, "--ttl", "is not between a second and 7 days"};
  security::Credential probe;
  probe.name = "probe";
  probe.datacenter = datacenter;
  ATOLL_TRY(security::encode_credential(probe));
  auto token = security::EnrolmentToken::generate(scheduler);
  const auto proof = security::proof_of(token.secret.view());
  TokenRecord record;
  record.id = security::token_name(token.id);
  record.role = role_name(role);
  record.datacenter = datacenter;
  record.psk = security::to_base64(proof.psk.view());
  record.verifier = security::to_hex(proof.verifier);
  record.created = unix_now;
  record.not_after = unix_now + ttl;
  ATOLL_TRY(store.add_token(record));
  return token;
}

Issuer::Issuer(Store& store, const node::Identity& identity,
               std::shared_ptr<const security::Authority> authority)
    : store_(store), identity_(identity), authority_(std::move(authority)) {}

Result<TokenRecord> Issuer::usable(const std::string& id) const {
  const std::string where = "token " + id;
  if (!authority_) return no_authority(where);
  ATOLL_ASSIGN(const auto record, store_.token(id));
  if (!record) return Error{Code::kRefused, where, "is not known here"};
  if (record->revoked) return Error{Code::kRefused, where, "was revoked"};
  if (!record->used_by.empty())
    return Error{Code::kRefused, where, "was used already, by " + record->used_by};
  const std::uint64_t now = identity_.local.unix_now();
  if (now > record->not_after)
    return Error{Code::kRefused, where,
                 "expired " + std::to_string(now - record->not_after) + " s ago"};
  return *record;
}

Result<security::SecretBytes> Issuer::token_psk(const security::TokenId& id) const {
  ATOLL_ASSIGN(const TokenRecord record, usable(security::token_name(id)));
  security::SecretBytes psk(security::kKeySize);
  if (!security::from_base64(record.psk, psk.span()))
    return Error{Code::kIo, "scheduler's database", "holds a token that cannot be read"};
  return psk;
}

Result<Issuer::Issued> Issuer::enrol(const std::string& id, const security::PublicKey& noise_key,
                                     BytesView message, const security::Roster& roster) {
  const std::string where = "token " + id;
  ATOLL_ASSIGN(const TokenRecord record, usable(id));
  if (message.size() < security::kKeySize)
    return Error{Code::kProto, where, "an enrolment that is too short"};
  const auto proof = security::proof_of(message.first(security::kKeySize));
  if (security::to_hex(proof.verifier) != record.verifier)
    return Error{Code::kRefused, where, "the peer knows the token's key but not its secret"};
  ATOLL_ASSIGN(const auto request, security::parse_request(message.subspan(security::kKeySize)));
  if (request.noise_key != noise_key)
    return Error{Code::kRefused, where, "the request is for another key than the handshake's"};
  if (role_name(request.role) != record.role)
    return Error{Code::kRefused, where,
                 "is for a " + record.role + ", and a " + std::string(role_name(request.role)) +
                     " came with it"};
  ATOLL_TRY(check_name(request.name, security::node_id(request.identity_key), roster));
  security::Credential credential;
  credential.name = request.name;
  credential.noise_key = request.noise_key;
  credential.identity_key = request.identity_key;
  credential.role = request.role;
  credential.datacenter = record.datacenter;
  ATOLL_ASSIGN(Issued issued, issue(std::move(credential)));
  if (roster.revokes(issued.credential))
    return Error{Code::kRefused, where, "node " + request.name + " was revoked"};
  ATOLL_TRY(store_.use_token(id, identity_.local.unix_now(), member_of(issued.credential)));
  issued.bytes = security::encode_grant({issued.bytes, identity_.local.authority,
                                         identity_.local.key->noise_key(), identity_.policy_text});
  return issued;
}

Result<Issuer::Issued> Issuer::renew(const security::Credential& old,
                                     const security::Roster& roster) {
  if (!authority_) return no_authority("credential of " + old.name);
  if (roster.revokes(old))
    return Error{Code::kRefused, "credential of " + old.name, "it was revoked"};
  ATOLL_ASSIGN(Issued issued, issue(old));
  ATOLL_TRY(store_.set_member(member_of(issued.credential)));
  return issued;
}

Status Issuer::remember(const security::Credential& credential) {
  return store_.set_member(member_of(credential));
}

Result<Issuer::Issued> Issuer::issue(security::Credential credential) const {
  credential.cluster = identity_.local.cluster;
  credential.not_after = identity_.local.unix_now() +
                         static_cast<std::uint64_t>(identity_.policy.credential_lifetime.count());
  credential.serial = security::random_serial();
  ATOLL_ASSIGN(Bytes bytes, authority_->issue(credential));
  return Issued{std::move(credential), std::move(bytes)};
}

Status Issuer::check_name(const std::string& name, const security::NodeId& node,
                          const security::Roster& roster) const {
  ATOLL_ASSIGN(const auto known, store_.member(name));
  if (!known || known->node_id == security::to_hex(node)) return {};
  const auto holder = security::hash_from_hex(known->node_id);
  if (holder && roster.nodes.contains(*holder)) return {};
  return Error{Code::kRefused, "node " + name,
               "the name belongs to another key (node " + known->node_id +
                   "); revoke that node if it is gone"};
}

}  // namespace reef::service
