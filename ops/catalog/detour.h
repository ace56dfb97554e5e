#pragma once
// The ways around a kernel that is not there: copy to row major, cast through f32, compute on the
// host. Each makes temporaries, runs the op on them and brings the outputs home.

#include "ops/catalog/catalog.h"

namespace reef::ops {

/// Runs one of the route's candidates, as they stand.
void launch(const Route& route, const Call& call);
/// Follows the route, detours included.
void execute(const Route& route, const Call& call, Op op);

}  // namespace reef::ops
