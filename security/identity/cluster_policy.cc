#include "security/identity/cluster_policy.h"

#include "security/crypto/text.h"
#include "security/identity/signed_text.h"

namespace reef::security {
namespace {

constexpr std::string_view kKind = "atoll-policy-1";
constexpr std::chrono::seconds kShortest{60};
constexpr std::chrono::seconds kLongest{366 * 24 * 3600};
constexpr std::chrono::seconds kMostGrace{300};

bool in_range(std::chrono::seconds lifetime) {
  return lifetime >= kShortest && lifetime <= kLongest;
}

Result<ClusterPolicy> read(const std::vector<Field>& fields) {
  const Error malformed{Code::kData, "cluster.policy", "it is malformed"};
  if (fields.size() != 3 || fields[0].first != "version" || fields[1].first != "cipher" ||
      fields[2].first != "credential-lifetime-seconds") {
    return malformed;
  }
  const auto version = number_from_text(fields[0].second);
  const auto cipher = cipher_named(fields[1].second);
  const auto lifetime = number_from_text(fields[2].second);
  if (!version || !cipher.ok() || !lifetime) return malformed;
  if (*lifetime > static_cast<std::uint64_t>(kLongest.count())) return malformed;
  const ClusterPolicy policy{*version, *cipher, std::chrono::seconds(*lifetime)};
  if (!in_range(policy.credential_lifetime)) return malformed;
  return policy;
}

}  // namespace

std::chrono::seconds ClusterPolicy::grace() const {
  return std::min(kMostGrace, credential_lifetime / 10);
}

std::string_view cipher_name(Cipher cipher) {
  return cipher == Cipher::kAesGcm ? "AESGCM" : "ChaChaPoly";
}

Result<Cipher> cipher_named(std::string_view name) {
  for (const Cipher cipher : {Cipher::kChaChaPoly, Cipher::kAesGcm}) {
    if (cipher_name(cipher) == name) return cipher;
  }
  return Error{Code::kUsage, "cipher " + std::string(name), "is not one of ChaChaPoly, AESGCM"};
}

Result<std::string> sign_policy(const ClusterPolicy& policy, const Authority& authority) {
  if (!in_range(policy.credential_lifetime)) {
    return Error{Code::kUsage, "credential lifetime", "is not between 1 minute and 366 days"};
  }
  const std::string version = std::to_string(policy.version);
  const std::string lifetime = std::to_string(policy.credential_lifetime.count());
  return sign_text(kKind,
                   {{"version", version},
                    {"cipher", cipher_name(policy.cipher)},
                    {"credential-lifetime-seconds", lifetime}},
                   [&authority](BytesView message) { return authority.sign(message); });
}

Result<ClusterPolicy> verify_policy(std::string_view text, const PublicKey& authority) {
  ATOLL_ASSIGN(const auto fields, verify_text(text, kKind, authority, kMaxClusterPolicy));
  return read(fields);
}

Result<ClusterPolicy> parse_policy(std::string_view text) {
  ATOLL_ASSIGN(const auto fields, parse_text(text, kKind, kMaxClusterPolicy));
  return read(fields);
}

Status check_cipher(Cipher cipher, bool processor_has_aes) {
  if (cipher != Cipher::kAesGcm || processor_has_aes) return {};
  return Error{Code::kUsage, "cluster.policy",
               "this cluster seals with AESGCM, and this processor has no AES instructions; take "
               "another machine, or give the whole cluster ChaChaPoly with 'atoll keys policy'"};
}

}  // namespace reef::security
