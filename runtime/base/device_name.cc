#include "runtime/base/device_name.h"

#include <algorithm>
#include <charconv>

namespace reef {

bool DeviceName::is_valid() const {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto allowed = [letter](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !kind.empty() && kind.size() <= kLongestKind && letter(kind[0]) &&
         std::all_of(kind.begin(), kind.end(), allowed) && index <= kMostIndex &&
         (!is_cpu() || index == 0);
}

std::string DeviceName::text() const {
  return is_cpu() ? kind : kind + ":" + std::to_string(index);
}

Result<DeviceName> parse_device(std::string_view text) {
  DeviceName name;
  const std::size_t colon = text.find(':');
  name.kind = text.substr(0, colon);
  bool good = true;
  if (colon != text.npos) {
    const std::string_view digits = text.substr(colon + 1);
    const char* const end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, name.index);
    good = error == std::errc() && at == end && !name.is_cpu();
  }
  if (good && name.is_valid()) return name;
  return Error{Code::kUsage, "device",
               "'" + std::string(text.substr(0, 80)) +
                   "' is no device; cpu, or a plug-in's name and the number of its device, such "
                   "as cuda:0"};
}

}  // namespace reef
