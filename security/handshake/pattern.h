#pragma once
// The handshake patterns of the Noise specification (revision 34) as data, so that paper and code
// can be read side by side.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reef::security {

enum class Token : std::uint8_t { e, s, ee, es, se, ss, psk };

/// One pattern. `messages[i]` is written by the initiator when i is even; of a one-way pattern
/// there is one message, and all that follows goes the same way.
struct Pattern {
  std::string name;      ///< "XKpsk3"; the protocol name is built from it
  bool initiator_known;  ///< pre-message "-> s"
  bool responder_known;  ///< pre-message "<- s"
  std::vector<std::vector<Token>> messages;
  bool one_way() const { return messages.size() == 1; }
};

/// The pattern of this name: one of section 7 or of the appendix of deferred patterns, with the
/// modifiers psk0, psk1, .. of section 9 appended, joined by '+'. Nothing when there is none.
std::optional<Pattern> find_pattern(std::string_view name);

}  // namespace reef::security
