#include "security/handshake/pattern.h"

namespace reef::security {

const Pattern* find_pattern(std::string_view name) {
  using enum Token;
  // Each row as in the specification, section 7.5; the first message is the initiator's.
  static const std::vector<Pattern> patterns = {
      {"XK", false, true, {{e, es}, {e, ee}, {s, se}}},
      {"XKpsk3", false, true, {{e, es}, {e, ee}, {s, se, psk}}},
      {"XX", false, false, {{e}, {e, ee, s, es}, {s, se}}},
      {"IK", false, true, {{e, es, s, ss}, {e, ee, se}}},
      {"KK", true, true, {{e, es, ss}, {e, ee, se}}},
  };
  for (const Pattern& pattern : patterns) {
    if (pattern.name == name) return &pattern;
  }
  return nullptr;
}

}  // namespace reef::security
