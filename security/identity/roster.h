#pragma once
// Who is no longer believed, though the credential says otherwise: a list that the authority signs
// and that only grows. Everybody of a cluster holds the newest one it has seen.

#include <set>
#include <string>
#include <string_view>

#include "runtime/base/error.h"
#include "security/identity/credential.h"
#include "security/identity/keys.h"

namespace reef::security {

enum RosterLimit : std::size_t { kMaxRoster = 1u << 20, kMaxRevoked = 10'000 };

/// A value. A cluster that never revoked anything has this empty one, version 0.
struct Roster {
  std::uint64_t version = 0;
  std::set<std::uint64_t> serials;  ///< single credentials; a renewal would have another serial
  std::set<NodeId> nodes;           ///< whole nodes, whatever their credentials

  bool revokes(const Credential& credential) const;
  bool operator==(const Roster&) const = default;
};

/// kUsage when it lists more than kMaxRevoked.
Result<std::string> sign_roster(const Roster& roster, const Authority& authority);
/// kData when malformed (entries out of order or twice included), kRefused when it is another
/// authority's.
Result<Roster> verify_roster(std::string_view text, const PublicKey& authority);
/// Without believing it: signature NOT checked.
Result<Roster> parse_roster(std::string_view text);

/// The newest roster of a process.
/// Thread: one. Failure: take() leaves the old one in place.
class RosterHolder {
 public:
  explicit RosterHolder(const PublicKey& authority) : authority_(authority) {}
  /// True when it is newer than what was held, false when it is the same one. kRefused for an older
  /// one, which somebody put back to let a revoked node in again, and for one of the same version
  /// that differs.
  Result<bool> take(std::string_view text);
  const Roster& roster() const { return roster_; }
  /// As signed; empty before the first.
  const std::string& text() const { return text_; }

 private:
  PublicKey authority_;
  Roster roster_;
  std::string text_;
};

}  // namespace reef::security
