#pragma once
// The data loader: the source of every round. It stamps the round, which all that follows carries,
// and reads the micro-batches whose places are a pure function of (seed, step, sample).

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

/// Whether the job's data can be read and fits its model: opens both splits. kData says what does
/// not.
Status check_data(const job::Job& job);

Result<std::unique_ptr<Task>> make_data_loader(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
