#pragma once
// The weights that are gathered for a bucket of layers where replicas share them out, and who has
// what of them. Gathers, which bring them together, and layer shards, which compute with them,
// agree through this. Pure.

#include <vector>

#include "ops/nn/spec.h"
#include "scheduler/plan/buckets.h"

namespace reef::plan {

/// The parameters that the layers own, in the order of names, then those that they use and others
/// own, likewise.
std::vector<nn::Parameter> gathered(const nn::ModelSpec& spec, LayerRange layers);

/// Of these the ones behind `layers`' own: whose slices come from another stage's optimizers if
/// `layers` are a stage.
std::vector<nn::Parameter> used_of_others(const nn::ModelSpec& spec, LayerRange layers);

}  // namespace reef::plan
