#pragma once
// What an optimizer begins with: masters and moments of the slices that it owns, from the
// checkpoint that the job resumes, from a model that somebody saved, or initial values.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/huggingface.h"
#include "ops/nn/trained_parameter.h"
#include "ops/tensor/context.h"
#include "runtime/base/error.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {

/// Of a slice's master, moments and gradient: the parameter's where one owner has all of it; else
/// its run is a vector.
ops::Shape shape_of(const plan::HeldSlice& held);

/// What the job begins with, opened. Elements are a function of what is read and of their place
/// in the published tensor, whoever owns them. Thread: one.
class StartingValues {
 public:
  /// Failure: what reading says.
  static Result<StartingValues> open(const job::Job& job);

  /// Memory: on the context's device; on the host one parameter at a time. Failure: what reading
  /// says; kCheckpoint names what is not there in the shape of the model.
  Result<nn::TrainedParameter> of(ops::Context& context, const plan::HeldSlice& held) const;

 private:
  explicit StartingValues(const job::Job& job)
      : seed_(job.training.seed), anew_(job.island && job.island->begun > 0) {}

  std::uint64_t seed_;
  bool anew_;  ///< of an island that has begun anew moments would be of another time
  std::string folder_{};
  std::optional<checkpoint::Checkpoint> checkpoint_{};
  std::optional<checkpoint::HuggingFaceModel> model_{};
};

/// Of each slice, in their order.
Result<std::vector<nn::TrainedParameter>> starting_values(ops::Context& context,
                                                          const job::Job& job,
                                                          std::span<const plan::HeldSlice> slices);

}  // namespace reef::actors
