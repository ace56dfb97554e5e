#pragma once
// Groups of the device twin: its members are contexts of one process, which look at each other's
// memory.

#include "ops/plugin/group.h"

namespace reef::apart {

extern const ops::Groups kMeetings;

}  // namespace reef::apart
