#pragma once
// The proof that a plan cannot lock up, and the prediction of its pace.

#include "ops/nn/spec.h"
#include "runtime/base/error.h"
#include "scheduler/plan/plan.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

/// Plays two rounds as fast as the firing rule allows, until every act has fired as often as it
/// must and every edge is as it was. In dataflow without choice the order does not matter: if this
/// order ends, every order does. kJobGraph shows the cycle: which act waits for which edge, who
/// would have to fire.
Status prove_live(const Plan& plan);

/// Seconds of one training step in steady state: an event simulation of two rounds, where a node's
/// device runs one act at a time by priority and a line carries one message at a time; the time
/// from the end of the first round to the end of the second. `tokens` of one micro-batch give the
/// FLOPs. Precondition: prove_live(plan) is ok.
double predict_step_seconds(const Plan& plan, const topology::Topology& topology,
                            const nn::ModelSpec& spec, std::uint64_t tokens);

}  // namespace reef::plan
