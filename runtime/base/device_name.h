#pragma once
// What a node computes on, by name: the processor, or the index-th device of a plug-in. Topologies,
// plans and command lines say it in the same words.

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/error.h"

namespace reef {

struct DeviceName {
  std::string kind = "cpu";  ///< of a plug-in's: the name that it gives, "cuda"
  std::uint32_t index = 0;
  bool is_cpu() const { return kind == "cpu"; }
  /// Letters, digits, - and _, begun by a letter, at most kLongestKind: it becomes a file's name.
  bool is_valid() const;
  std::string text() const;  ///< "cpu", "cuda:0"
  bool operator==(const DeviceName&) const = default;

  static constexpr std::size_t kLongestKind = 32;
  static constexpr std::uint32_t kMostIndex = 255;
};

/// "cpu", "cuda" (the first one) or "cuda:3". kUsage for anything else.
Result<DeviceName> parse_device(std::string_view text);

}  // namespace reef
