#pragma once
// What islands (docs/decisions/0025-local-steps.md), and teachers and students, tell each other.

#include <cstdint>
#include <string>

#include "runtime/base/bytes.h"

namespace reef::node {

inline constexpr std::size_t kLongestLetterCodec = 64;  ///< bytes of its name

/// What the outer stores of two islands, or a teacher and a student, tell each other. The node
/// carries it and understands none of it.
struct Letter {
  std::uint16_t kind = 0;  ///< the writers' own
  std::uint32_t fragment = 0;
  std::uint64_t number = 0, tokens = 0, included = 0;
  std::string codec;  ///< at most kLongestLetterCodec bytes
  Bytes payload;
};

}  // namespace reef::node
