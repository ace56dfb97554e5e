#pragma once
// Whether an audit log is what was written: `atoll audit verify`, and what the writer asks before
// it goes on.

#include <filesystem>

#include "security/audit/head.h"

namespace reef::security {

/// A walk along the chain. Bounded: it never holds more than a few lines, however long they are.
struct AuditScan {
  AuditHead end;             ///< of the chain as far as it holds
  std::uint64_t size = 0;    ///< bytes up to there
  std::uint64_t torn = 0;    ///< bytes of a last line without its end
  bool passed_mark = false;  ///< the chain went through `mark`
};

/// Walks the whole file. kData names the first bad line; kPath when it cannot be read. A last line
/// without its end is no error here: a writer may have died there. An absent file is an empty log.
Result<AuditScan> scan_audit_log(const std::filesystem::path& log, const AuditHead& mark);

/// The whole judgement: the chain holds, the head is signed by `key`, and the file ends exactly
/// where the head says. kData names the first bad line and what is wrong with it; kRefused for the
/// head's signature. Gives the verified head.
Result<AuditHead> verify_audit_log(const std::filesystem::path& log, const PublicKey& key);

/// As above, and the log went through `earlier`: a head that somebody kept elsewhere. This finds a
/// log and a head that were both put back to an earlier state or written anew.
Result<AuditHead> verify_audit_log(const std::filesystem::path& log, const PublicKey& key,
                                   const AuditHead& earlier);

}  // namespace reef::security
