#pragma once
// From where a node can be dialled. Machines behind NAT or a firewall can often dial out only.

#include <cstdint>
#include <string_view>

#include "runtime/base/error.h"

namespace reef {

/// From narrow to wide; the numbers are on the wire.
enum class Reach : std::uint8_t {
  kNowhere = 0,     ///< it dials out and is not dialled
  kDatacenter = 1,  ///< by nodes of its own datacenter
  kAnywhere = 2,
};

/// "nowhere", "datacenter", "anywhere".
std::string_view reach_name(Reach reach);
/// kUsage for any other word.
Result<Reach> parse_reach(std::string_view word);

}  // namespace reef
