#include "security/handshake/pattern.h"

#include <algorithm>

namespace reef::security {
namespace {

// clang-format off
const std::vector<Pattern>& patterns() {
  using enum Token;
  // Section 7.4: one way.
  static const std::vector<Pattern> patterns = {
      {"N", false, true, {{e, es}}},
      {"K", true, true, {{e, es, ss}}},
      {"X", false, true, {{e, es, s, ss}}},
      // Section 7.5: interactive.
      {"NN", false, false, {{e}, {e, ee}}},
      {"KN", true, false, {{e}, {e, ee, se}}},
      {"NK", false, true, {{e, es}, {e, ee}}},
      {"KK", true, true, {{e, es, ss}, {e, ee, se}}},
      {"NX", false, false, {{e}, {e, ee, s, es}}},
      {"KX", true, false, {{e}, {e, ee, se, s, es}}},
      {"XN", false, false, {{e}, {e, ee}, {s, se}}},
      {"IN", false, false, {{e, s}, {e, ee, se}}},
      {"XK", false, true, {{e, es}, {e, ee}, {s, se}}},
      {"IK", false, true, {{e, es, s, ss}, {e, ee, se}}},
      {"XX", false, false, {{e}, {e, ee, s, es}, {s, se}}},
      {"IX", false, false, {{e, s}, {e, ee, se, s, es}}},
      // Appendix 18.1: deferred.
      {"NK1", false, true, {{e}, {e, ee, es}}},
      {"NX1", false, false, {{e}, {e, ee, s}, {es}}},
      {"X1N", false, false, {{e}, {e, ee}, {s}, {se}}},
      {"X1K", false, true, {{e, es}, {e, ee}, {s}, {se}}},
      {"XK1", false, true, {{e}, {e, ee, es}, {s, se}}},
      {"X1K1", false, true, {{e}, {e, ee, es}, {s}, {se}}},
      {"X1X", false, false, {{e}, {e, ee, s, es}, {s}, {se}}},
      {"XX1", false, false, {{e}, {e, ee, s}, {es, s, se}}},
      {"X1X1", false, false, {{e}, {e, ee, s}, {es, s}, {se}}},
      {"K1N", true, false, {{e}, {e, ee}, {se}}},
      {"K1K", true, true, {{e, es}, {e, ee}, {se}}},
      {"KK1", true, true, {{e}, {e, ee, se, es}}},
      {"K1K1", true, true, {{e}, {e, ee, es}, {se}}},
      {"K1X", true, false, {{e}, {e, ee, s, es}, {se}}},
      {"KX1", true, false, {{e}, {e, ee, se, s}, {es}}},
      {"K1X1", true, false, {{e}, {e, ee, s}, {se, es}}},
      {"I1N", false, false, {{e, s}, {e, ee}, {se}}},
      {"I1K", false, true, {{e, es, s}, {e, ee}, {se}}},
      {"IK1", false, true, {{e, s}, {e, ee, se, es}}},
      {"I1K1", false, true, {{e, s}, {e, ee, es}, {se}}},
      {"I1X", false, false, {{e, s}, {e, ee, s, es}, {se}}},
      {"IX1", false, false, {{e, s}, {e, ee, se, s}, {es}}},
      {"I1X1", false, false, {{e, s}, {e, ee, s}, {se, es}}},
  };
  return patterns;
}
// clang-format on

constexpr std::string_view kModifier = "psk";

/// Section 9.4: psk0 stands at the start of the first message, pskN at the end of message N. False
/// when `modifier` is neither.
bool modify(Pattern& pattern, std::string_view modifier) {
  if (modifier.size() != kModifier.size() + 1 || !modifier.starts_with(kModifier)) return false;
  const std::size_t message = static_cast<std::size_t>(modifier.back() - '0');
  if (message > pattern.messages.size()) return false;
  if (message == 0) {
    pattern.messages[0].insert(pattern.messages[0].begin(), Token::psk);
  } else {
    pattern.messages[message - 1].push_back(Token::psk);
  }
  return true;
}

}  // namespace

std::optional<Pattern> find_pattern(std::string_view name) {
  const std::size_t end = std::min(name.find(kModifier), name.size());
  for (const Pattern& plain : patterns()) {
    if (plain.name != name.substr(0, end)) continue;
    Pattern pattern = plain;
    pattern.name = name;
    for (std::size_t at = end; at < name.size();) {
      const std::size_t plus = std::min(name.find('+', at), name.size());
      if (!modify(pattern, name.substr(at, plus - at)) || plus + 1 == name.size()) {
        return std::nullopt;
      }
      at = plus + 1;
    }
    return pattern;
  }
  return std::nullopt;
}

}  // namespace reef::security
