#pragma once
// One line of the audit log. The log is text, so that an auditor needs nothing of ours to read it,
// and a chain: each line ends with the hash of the line before, so that none can be changed,
// removed, inserted or moved without every later one being wrong.
//
//   number TAB time TAB kind TAB subject TAB detail TAB hash of the line before LF

#include <string>
#include <string_view>

#include "runtime/base/error.h"
#include "security/crypto/crypto.h"

namespace reef::security {

enum AuditLimit : std::size_t {
  kMaxAuditLine = 1024,    ///< with its end
  kMaxAuditKind = 32,      ///< small letters and '-'
  kMaxAuditSubject = 300,  ///< escaped
  kMaxAuditDetail = 500,   ///< escaped
};

/// What happened, before it is a line. Subject and detail may hold anything that a peer chose.
struct AuditEvent {
  std::string kind;     ///< "enrolled", "token-created", ...: ours, never a peer's
  std::string subject;  ///< whom it is about: a name, an address, a token's id
  std::string detail;
};

struct AuditLine {
  std::uint64_t number = 0;  ///< from 1
  std::string time;          ///< "2026-01-31T23:59:59Z"
  AuditEvent event;          ///< escaped
  Hash256 previous{};
};

/// What the first line has in the place of a hash.
Hash256 first_audit_hash();
/// Of a whole line with its end.
Hash256 audit_hash(std::string_view line);

/// Escapes: control characters, the backslash and bytes beyond ASCII become \xNN, so that no event
/// can forge a line or move a terminal's cursor. What is longer than `limit` is cut and ends with
/// `\+`.
std::string escape(std::string_view text, std::size_t limit);

/// The line with its end.
std::string encode_audit_line(std::uint64_t number, std::uint64_t unix_time,
                              const AuditEvent& event, const Hash256& previous);
/// kData for anything that encode_audit_line does not write. The end must be there.
Result<AuditLine> parse_audit_line(std::string_view line);

}  // namespace reef::security
