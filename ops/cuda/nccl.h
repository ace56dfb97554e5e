#pragma once
// GPUs of one node as a group, by NCCL. The library is loaded when the first group is made, so that
// the plug-in works where it is not; its types come from nccl.h of the build.

#include "ops/plugin/group.h"

namespace reef::ops::cuda {

extern const Groups kNcclGroups;

}  // namespace reef::ops::cuda
