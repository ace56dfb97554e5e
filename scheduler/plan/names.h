#pragma once
// What people and scripts read for the kinds and parts of a plan; the same words in tables, JSON,
// pictures, traces and errors. Pure; "unknown" of a number that is no kind or content.

#include <string>
#include <string_view>

#include "scheduler/plan/plan.h"

namespace reef::plan {

std::string_view kind_name(ActorKind kind);      ///< "layer shard"
std::string_view content_name(Content content);  ///< "activation gradient"

/// "layers/r0/s1.backward". Precondition: there is such an act.
std::string act_name(const Plan& plan, ActorId actor, std::uint32_t act);

}  // namespace reef::plan
