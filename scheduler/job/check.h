#pragma once
// What a schema cannot say: values that exclude each other.

#include <string>

#include "runtime/base/error.h"
#include "scheduler/job/document.h"
#include "scheduler/job/job.h"

namespace reef::job {

/// kJobValue with the arithmetic, placed in `document`.
Status check_values(const Job& job, const Document& document);
/// The same of a TeacherService.
Status check_teacher(const Job& job, const Document& document);

/// Whether so many tensor-parallel ranks can share the layers of a checked job: its model and its
/// codecs let them.
bool can_share_layers(const Job& job, std::uint32_t ranks);

/// Whether so many replicas can share the sequences of a checked job: its model, its context and
/// its codecs let them.
bool can_share_sequences(const Job& job, std::uint32_t replicas);

/// What keeps replicas from gathering weights layer by layer (zero_stage 3), and the remedy; empty:
/// nothing.
std::string problem_of_gathering(const Parallelism& parallelism);

/// Whether the codecs of a checked job let replicas share state out.
bool can_share_state(const Job& job);

}  // namespace reef::job
