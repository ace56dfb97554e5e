#pragma once
// What the acts of a plan ask of their nodes' devices. The one place that knows: the simulation
// takes its times from here, and a paced device waits for the same times.

#include "ops/nn/spec.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Whether actors of this kind run on their node's compute stream. The others, which move, write or
/// count, run on its io stream, so that they never stand before a GEMM.
bool computes(ActorKind kind);

/// Seconds that one firing of a training round occupies the stream it runs on: FLOPs of layers over
/// the device's speed and what gradients cost to add up, else one pass over what the act reads and
/// writes, at the bandwidth of the device on the compute stream and at cost::kMemoryBytesPerSecond
/// on the io stream; of a message's ends its processor time besides. Snapshots are rare and left
/// out. `tokens` of one micro-batch. Pure. Precondition: validate(plan) is ok, and `spec` is what
/// the actor's rank has of its job's model.
double act_seconds(const Plan& plan, const nn::ModelSpec& spec, std::uint64_t tokens,
                   const Actor& actor, std::size_t act);

}  // namespace reef::plan
