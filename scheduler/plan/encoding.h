#pragma once
// A plan as bytes: configs/schema/plan.capnp.

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

inline constexpr std::size_t kEncodedPlanLimit = std::size_t{64} << 20;

Bytes encode(const Plan& plan);
/// Never crashes and never takes more memory than a small multiple of the bytes. kProto when they
/// are not a plan. The plan is well-formed as data only; call validate() before use.
Result<Plan> decode(BytesView bytes);

}  // namespace reef::plan
