#pragma once
// The handshake patterns of the Noise specification (revision 34) as data, so that paper and code
// can be read side by side.

#include <cstdint>
#include <string_view>
#include <vector>

namespace reef::security {

enum class Token : std::uint8_t { e, s, ee, es, se, ss, psk };

/// One pattern. `messages[i]` is written by the initiator when i is even.
struct Pattern {
  std::string_view name;  ///< "XK"; the protocol name is built from it
  bool initiator_known;   ///< pre-message "-> s"
  bool responder_known;   ///< pre-message "<- s"
  std::vector<std::vector<Token>> messages;
};

/// The pattern of this name ("XK", "XKpsk3", "XX", "IK", "KK"), or null.
const Pattern* find_pattern(std::string_view name);

}  // namespace reef::security
