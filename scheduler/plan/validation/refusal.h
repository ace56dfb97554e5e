#pragma once
// What the parts of validation (validate.h) share: how they refuse a plan, and what a name in one
// may be. Pure.

#include <string>

#include "runtime/base/error.h"

namespace reef::plan {

/// kProto. `where` may be what a peer wrote: a terminal may show what comes out.
Error broken(const std::string& where, const std::string& what);

/// Not empty, not long, UTF-8.
bool good_name(const std::string& name);

}  // namespace reef::plan
