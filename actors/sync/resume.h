#pragma once
// Error feedback across a restart: what a checkpoint's exchanges had not sent yet is sent by those
// of the run that goes on.

#include <functional>
#include <span>

#include "actors/core/factory.h"
#include "actors/sync/exchanges.h"
#include "ops/codec/feedback.h"

namespace reef::actors {

/// Fills what `feedback` returns for each exchange of `sync`, from the checkpoint that the job
/// resumes from. Under the plan that wrote it, it goes on with the same bits. Under another one,
/// all residuals of a gradient are added up and left to the first exchange of the first replica
/// (and of those that sum alike), and PowerSGD looks for its factors anew. Failure: kCheckpoint for
/// a checkpoint that does not open or lacks what it says it has.
Status resume_feedback(const TaskSetup& setup, const plan::Actor& sync,
                       std::span<const Exchange> exchanges,
                       const std::function<codec::Feedback&(const Exchange&)>& feedback);

}  // namespace reef::actors
