#pragma once
// Authenticated is not authorised: what each role may say, as a table that denies by default.

#include <cstdint>
#include <initializer_list>
#include <set>
#include <utility>

#include "security/identity/credential.h"

namespace reef::security {

/// (role, message kind) pairs that are allowed; all else is denied. The kinds are the caller's.
/// Thread: fill it before sharing it; then any.
class Policy {
 public:
  Policy& allow(Role role, std::uint16_t kind);
  Policy& allow(Role role, std::initializer_list<std::uint16_t> kinds);
  bool allows(Role role, std::uint16_t kind) const;

 private:
  std::set<std::pair<Role, std::uint16_t>> allowed_;
};

}  // namespace reef::security
