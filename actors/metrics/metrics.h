#pragma once
// The metrics sink: adds the losses of a round in canonical leaf order, writes metrics.jsonl and
// reports progress.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

Result<std::unique_ptr<Task>> make_metrics(const TaskSetup& setup, const plan::Actor& actor);

}  // namespace reef::actors
