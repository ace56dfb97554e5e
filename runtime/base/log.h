#pragma once
// One line per event, to the process's log. Log once, where an error is decided, naming peer,
// operation and cause.

#include <string_view>

namespace reef {

/// Where lines go from now on: a file that is appended to, or empty for stderr. `name` stands in
/// each line.
void open_log(std::string_view path, std::string_view name);

void log_info(std::string_view line);
void log_warning(std::string_view line);
void log_error(std::string_view line);

}  // namespace reef
