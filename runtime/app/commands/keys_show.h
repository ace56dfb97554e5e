#pragma once
// What a file of ours says, for people: public parts only.

#include <filesystem>
#include <string>

#include "runtime/base/error.h"

namespace reef::app {

/// Of a key file, credential, request, grant, policy, roster, or a folder of them, whatever it is
/// named. Nothing in it is believed; a key is read under the same rules as by a process that uses
/// it. kData when it is none of these.
Result<std::string> describe_identity(const std::filesystem::path& path);

/// kKeyPerm, with the line that mends it, for the first secret of a folder (or a single file) that
/// others may read, that belongs to somebody else or has the wrong size.
Status check_permissions(const std::filesystem::path& path);

}  // namespace reef::app
