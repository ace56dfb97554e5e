#pragma once
// Which kernels a device must have to train a model. What it lacks the catalog would compute on the
// host, with copies to and fro in the middle of every layer: right, and useless. So a job asks
// first.

#include "ops/catalog/catalog.h"
#include "ops/nn/spec.h"

namespace reef::nn {

/// kNoFit with what the device has no kernel for, when it cannot do by itself what layers, loss,
/// optimizer and the sums between them launch. `shared`: ranks or replicas share layers or
/// sequences.
Status check_kernels(ops::Device device, const ModelSpec& spec, bool shared);

/// What must be there, by the dtype of the catalog's key; a kernel for f32 serves bf16 as well.
struct Need {
  ops::Op op;
  ops::DType dtype = ops::DType::kF32;
};
std::vector<Need> needs_of(const ModelSpec& spec, bool shared);

}  // namespace reef::nn
