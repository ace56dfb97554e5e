#pragma once
// The teacher: the one actor of a TeacherService. It reads what students ask, has its model think
// of many sequences at once, and answers (desk.h). While nobody asks, its act waits for letters on
// the device's stream, on which nothing else is.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

/// Failure: kProto for a plan whose job is no TeacherService; its first act's is what reading the
/// model says, named.
Result<std::unique_ptr<Task>> make_teacher(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
