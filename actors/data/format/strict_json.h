#pragma once
// JSON from files we did not necessarily write.

#include <nlohmann/json.hpp>
#include <string_view>

#include "runtime/base/error.h"

namespace reef::data {

/// Parses UTF-8 JSON, refusing duplicate keys, more than 64 levels and anything after the end.
/// The Error has `code` and names `where`.
Result<nlohmann::json> parse_json(std::string_view text, Code code, std::string_view where);

}  // namespace reef::data
