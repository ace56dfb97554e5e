#pragma once
// The name under which a machine enrols when nobody gives it one.

#include <unistd.h>

#include <array>
#include <string>

namespace reef::app {

inline std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "node";
  return name.data();
}

}  // namespace reef::app
