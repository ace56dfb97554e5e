#pragma once
// Where the audit log ends, signed: without it, lines could be cut from the end unseen. It stands
// beside the log, in "<log>.head".

#include <filesystem>
#include <string>
#include <string_view>

#include "runtime/base/error.h"
#include "security/audit/line.h"
#include "security/identity/keys.h"

namespace reef::security {

enum AuditHeadLimit : std::size_t { kMaxAuditHead = 1024 };

struct AuditHead {
  std::uint64_t lines = 0;
  Hash256 last = first_audit_hash();  ///< of the last line
  bool operator==(const AuditHead&) const = default;
};

std::string sign_audit_head(const AuditHead& head, const NodeKey& key);
/// kData when malformed, kRefused when `key`, a scheduler's identity key, did not sign it.
Result<AuditHead> verify_audit_head(std::string_view text, const PublicKey& key);

std::filesystem::path audit_head_path(const std::filesystem::path& log);

}  // namespace reef::security
