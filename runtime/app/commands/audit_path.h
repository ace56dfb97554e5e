#pragma once
// Where the scheduler and `atoll token` keep the audit log, unless they are told otherwise.

#include <filesystem>
#include <string>

namespace reef::app {

inline std::string audit_path(const std::filesystem::path& database) {
  return (database.parent_path() / "audit.log").string();
}

}  // namespace reef::app
