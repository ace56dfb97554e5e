#include "security/audit/throttle.h"

#include <algorithm>
#include <utility>

namespace reef::security {

std::optional<std::uint64_t> Throttle::admit(const std::string& kind, std::uint64_t unix_now) {
  Kind& own = kinds_[kind];
  if (own.refilled == 0 || unix_now < own.refilled) own.refilled = unix_now;
  const std::uint64_t due = (unix_now - own.refilled) / kSecondsEach;
  own.allowance = std::min(kBurst, own.allowance + due);
  own.refilled += due * kSecondsEach;
  if (own.allowance == 0) {
    ++own.left_out;
    return std::nullopt;
  }
  --own.allowance;
  return std::exchange(own.left_out, 0);
}

std::map<std::string, std::uint64_t> Throttle::take_left_out() {
  std::map<std::string, std::uint64_t> all;
  for (auto& [name, kind] : kinds_) {
    if (kind.left_out > 0) all[name] = std::exchange(kind.left_out, 0);
  }
  return all;
}

}  // namespace reef::security
