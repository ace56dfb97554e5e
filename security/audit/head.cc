#include "security/audit/head.h"

#include "security/crypto/text.h"
#include "security/identity/signed_text.h"

namespace reef::security {
namespace {

constexpr std::string_view kKind = "atoll-audit-head-1";

}  // namespace

std::string sign_audit_head(const AuditHead& head, const NodeKey& key) {
  const std::string lines = std::to_string(head.lines);
  const std::string last = to_hex(head.last);
  return sign_text(kKind, {{"lines", lines}, {"last", last}},
                   [&key](BytesView message) { return key.sign(message); });
}

Result<AuditHead> verify_audit_head(std::string_view text, const PublicKey& key) {
  ATOLL_ASSIGN(const auto fields, verify_text(text, kKind, key, kMaxAuditHead));
  const Error malformed{Code::kData, std::string(kKind), "it is malformed"};
  if (fields.size() != 2 || fields[0].first != "lines" || fields[1].first != "last")
    return malformed;
  const auto lines = number_from_text(fields[0].second);
  const auto last = hash_from_hex(fields[1].second);
  if (!lines || !last) return malformed;
  return AuditHead{*lines, *last};
}

std::filesystem::path audit_head_path(const std::filesystem::path& log) {
  return log.string() + ".head";
}

}  // namespace reef::security
