#pragma once
// A job may start from a model that somebody has saved in Hugging Face's form; what the model is
// then stands in its folder and need not be said again.

#include "runtime/base/error.h"
#include "scheduler/job/document.h"

namespace reef::job {

/// Where `spec.model.from` names a folder, or a run folder with a model in it, completes
/// `spec.model` by the folder's config.json. A field that says something else than the folder is
/// kJobValue, but those that do not concern the weights (dropout) are the descriptor's. kPath or
/// kCheckpoint when config.json cannot be read or is not supported.
Status complete_model(Document& document);

}  // namespace reef::job
