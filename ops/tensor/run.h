#pragma once
// Part of an axis.

#include <cstdint>

namespace reef::ops {

/// Elements [first, first + count) of an axis.
struct Run {
  std::int64_t first = 0;
  std::int64_t count = 0;
  bool operator==(const Run&) const = default;
};

}  // namespace reef::ops
