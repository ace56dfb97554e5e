#pragma once
// The proof that a plan cannot lock up.

#include "runtime/base/error.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Plays two rounds as fast as the firing rule allows, until every act has fired as often as it
/// must and every edge is as it was. In dataflow without choice the order does not matter: if this
/// order ends, every order does. kJobGraph shows the cycle: which act waits for which edge, who
/// would have to fire.
Status prove_live(const Plan& plan);

}  // namespace reef::plan
