#pragma once
// What a process that holds keys does about itself.

#include "runtime/base/error.h"

namespace reef::security {

/// No core files, and no debugger of the same user may read this process: keys would leave by both.
/// Idempotent; call it before the first key is read. kIo when the system refuses, and then nothing
/// secret may be read.
Status forbid_core_dumps();

}  // namespace reef::security
