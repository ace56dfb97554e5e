#pragma once
// The loss: cross-entropy of the last stage's logits, and the gradient with which the backward pass
// begins.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_loss(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
