#pragma once
// The pupil: stands between a student's loader and its loss, and asks the teachers about the tokens
// that pass (lessons.h). It waits for nobody: the loss does, when it needs what they said.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

/// Failure: kProto for a plan whose job is no student's.
Result<std::unique_ptr<Task>> make_pupil(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
