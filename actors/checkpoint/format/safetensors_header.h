#pragma once
// The JSON between N and the data. Private to actors/checkpoint/format.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/checkpoint/format/safetensors.h"
#include "runtime/base/error.h"

namespace reef::checkpoint {

struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct Header {
  std::vector<HeaderEntry> entries;  ///< as they stand in the JSON; names are unique
  Metadata metadata;
};

/// Accepts exactly what the format describes: an unknown field, a number that is not a whole one, a
/// key given twice or one level too many is kCheckpoint. Offsets are not yet held against anything.
Result<Header> parse_header(std::string_view json, std::string_view where);

/// The JSON, padded with spaces to a multiple of 8. kTensor for text that is not UTF-8.
Result<std::string> write_header(const Header& header);

}  // namespace reef::checkpoint
