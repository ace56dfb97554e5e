#pragma once
// Between a measured machine and the plans for it: the short profile of `atoll topology measure`,
// and its use for nodes that stand on this machine.

#include "ops/nn/spec.h"
#include "ops/tensor/context.h"
#include "runtime/machine/profile.h"
#include "scheduler/topology/topology.h"

namespace reef::app {

/// Trains two blocks of `model` on made-up tokens, with the kernels that the tuner, if it is the
/// catalog's chooser, has or finds; some seconds. `sequences` times `length` tokens a micro-batch.
machine::Profile measure_profile(ops::Context& context, const nn::ModelConfig& model,
                                 std::int64_t sequences, std::int64_t length);

/// What was kept of this machine's processor. kPath for a file that is damaged.
Result<machine::Profiles> kept_profiles();

/// The same topology, where nodes on this machine (localhost) whose device says no speed have the
/// speed and bandwidth that were measured with their count of threads. Others stay as they are.
topology::Topology with_profiles(topology::Topology topology, const machine::Profiles& profiles,
                                 nn::Precision precision);

/// read_topology() and with_profiles(kept_profiles()).
Result<topology::Topology> read_measured_topology(const std::string& path, nn::Precision precision);

}  // namespace reef::app
