#pragma once
// "host:port" as it stands on the command line.

#include <charconv>
#include <string>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/base/utf8.h"

namespace reef::app {

inline Result<std::pair<std::string, std::uint16_t>> parse_address(const std::string& text,
                                                                   const std::string& option) {
  const auto colon = text.rfind(':');
  std::uint16_t port = 0;
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [stopped, failure] = std::from_chars(text.data() + colon + 1, end, port);
    if (failure == std::errc() && stopped == end && colon > 0)
      return std::pair{text.substr(0, colon), port};
  }
  return Error{Code::kUsage, option,
               "'" + printable(text) + "' is not HOST:PORT; for instance 127.0.0.1:7070"};
}

}  // namespace reef::app
