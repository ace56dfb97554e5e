#pragma once
// Secrets come in through files only, never through arguments or the environment, which other
// users of a machine can read.

#include <filesystem>

#include "runtime/base/error.h"
#include "security/crypto/secret.h"

namespace reef::security {

/// Where the secret of this name is: `path` itself, or, if nothing is there, the file of the same
/// name in $CREDENTIALS_DIRECTORY, where systemd's LoadCredential puts it.
std::filesystem::path secret_path(const std::filesystem::path& path);

/// Reads secret_path(path). The open file is checked, not its name, so that nobody can exchange it
/// in between: a regular file, no symbolic link (kPath); ours or root's, mode 0600 or less
/// (kKeyPerm, with the line that mends it); at most `limit` bytes (kData).
Result<SecretBytes> read_secret_file(const std::filesystem::path& path, std::size_t limit);

}  // namespace reef::security
