#include "security/crypto/process.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace reef::security {

Status forbid_core_dumps() {
  // The limit alone does not bind a core_pattern that is a pipe; the flag does, and forbids ptrace.
  const struct rlimit none {};
  if (::setrlimit(RLIMIT_CORE, &none) == 0 && ::prctl(PR_SET_DUMPABLE, 0) == 0) return {};
  return Error{Code::kIo, "core dumps",
               std::string("cannot be forbidden: ") + std::strerror(errno)};
}

}  // namespace reef::security
