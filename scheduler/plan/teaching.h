#pragma once
// The plan of a TeacherService, and what teachers and students ask of the lines between them. Pure.

#include <string>
#include <vector>

#include "scheduler/plan/make_plan.h"

namespace reef::plan {

/// Whether it is a TeacherService's.
bool teaches(const Plan& plan);

/// Tokens that a teacher's model takes in one forward pass, padding with them: as many as their
/// logits fit 64 MiB, and one sequence at least.
std::uint64_t teaching_batch(const job::Job& teacher);

/// One actor on the fastest node that has room for it. kNoFit: none has.
Result<Choice> choose_teacher(const job::Job& job, const topology::Topology& topology);

/// The nodes of a student whose actors ask. Empty: it is no student's plan.
std::vector<NodeIndex> nodes_that_ask(const Plan& plan);

/// Most that comes from a teacher in a step, and what the whole logits would be in fp32.
struct Lessons {
  std::string teacher;
  std::uint64_t bytes = 0, full_bytes = 0;
};
std::vector<Lessons> lessons_of(const job::Job& student);

/// Of the service, or of what a student asks, for people: lines, each with its end; else empty.
std::string teaching_text(const Plan& plan);

}  // namespace reef::plan
