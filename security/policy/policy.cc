#include "security/policy/policy.h"

namespace reef::security {

Policy& Policy::allow(Role role, std::uint16_t kind) {
  allowed_.emplace(role, kind);
  return *this;
}

Policy& Policy::allow(Role role, std::initializer_list<std::uint16_t> kinds) {
  for (std::uint16_t kind : kinds) allow(role, kind);
  return *this;
}

bool Policy::allows(Role role, std::uint16_t kind) const { return allowed_.contains({role, kind}); }

}  // namespace reef::security
