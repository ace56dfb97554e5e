#pragma once
// What an optimizer begins with: masters and moments of the slices that it owns, from the
// checkpoint that the job resumes, from a model that somebody saved, or initial values.

#include <span>
#include <vector>

#include "ops/nn/trained_parameter.h"
#include "ops/tensor/context.h"
#include "runtime/base/error.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {

/// Of a slice's master, moments and gradient: the parameter's where one owner has all of it; else
/// its run is a vector.
ops::Shape shape_of(const plan::HeldSlice& held);

/// Of each slice, in their order. Elements are a function of what is read and of their place in the
/// published tensor, whoever owns them. Thread: the caller's, which reads files. Memory: on the
/// context's device; on the host one parameter at a time. Failure: what reading says; kCheckpoint
/// names what is not there in the shape of the model.
Result<std::vector<nn::TrainedParameter>> starting_values(ops::Context& context,
                                                          const job::Job& job,
                                                          std::span<const plan::HeldSlice> slices);

}  // namespace reef::actors
