#include "scheduler/plan/teaching.h"

#include <algorithm>
#include <cstdio>

#include "runtime/base/check.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/builder.h"
#include "scheduler/plan/live.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

constexpr std::uint64_t kLogitsBytes = std::uint64_t{64} << 20;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// Weights in what they are read from and computed in, a batch's logits and hidden values, answers
/// that are kept, and those that are on their way.
std::uint64_t state_of(const job::Job& job) {
  const nn::ModelSpec spec = job::spec_of(job);
  const auto parameters = static_cast<std::uint64_t>(nn::parameter_count(spec));
  const auto width = static_cast<std::uint64_t>(nn::width_of(job.model));
  const auto vocabulary = static_cast<std::uint64_t>(nn::vocabulary_of(job.model));
  const std::uint64_t batch = teaching_batch(job);
  // Of a layer at a time: the widest is a feed-forward's, four times the hidden values or so,
  // twice.
  return 2 * 4 * parameters + batch * 4 * (2 * vocabulary + 16 * width) + job.serves->cache +
         4 * job::kMostAnswer;
}

Plan plan_on(const job::Job& job, const topology::Node& node) {
  Plan plan;
  plan.job = job.name;
  plan.descriptor = job::job_to_json(job);
  plan.nodes.push_back(plan_node(node));
  Actor teacher;
  teacher.kind = ActorKind::kTeacher;
  teacher.name = "teacher";
  teacher.last_layer = static_cast<std::uint32_t>(job::spec_of(job).layers.size());
  teacher.acts.push_back({"serve", 1, 0, {}, {}});
  teacher.state_bytes = state_of(job);
  plan.actors.push_back(std::move(teacher));
  plan.leaves = 1;
  plan.layout = "one node, whose device computes what students ask";
  return plan;
}

std::string service_text(const job::Job& job) {
  const job::Serves& serves = *job.serves;
  std::string text = "serves        " + join(serves.jobs) + "; nobody else is answered\n";
  text += "says          at most " + std::to_string(serves.top_k) + " tokens of each position, ";
  text += format_size(said_bytes(serves.top_k, job::SaidAs::kInt8, nn::vocabulary_of(job.model))) +
          " as int8, of " +
          format_size(4 * static_cast<std::uint64_t>(nn::vocabulary_of(job.model))) +
          " of fp32 logits\n";
  text += "rate          " +
          (serves.requests_per_second > 0
               ? number(serves.requests_per_second) + " requests a second of each job\n"
               : "as many requests as come\n");
  if (serves.noise == 0) {
    text +=
        "privacy       no noise: nothing is promised of what answers tell of the model's data\n";
  } else {
    text += "privacy       zCDP rho " + number(2 / (serves.noise * serves.noise)) +
            " a position, accounted at delta " + number(serves.delta) +
            (serves.epsilon > 0 ? ", up to epsilon " + number(serves.epsilon) : ", without end") +
            "\n";
  }
  return text;
}

std::string student_text(const job::Job& job) {
  std::string text;
  for (const Lessons& lessons : lessons_of(job)) {
    text += "teacher       " + lessons.teacher + ": at most " + format_size(lessons.bytes) +
            " of answers a step, where fp32 logits were " + format_size(lessons.full_bytes) +
            "; not in the forecast\n";
  }
  return text;
}

}  // namespace

bool teaches(const Plan& plan) {
  return std::ranges::count(plan.actors, ActorKind::kTeacher, &Actor::kind) > 0;
}

std::uint64_t teaching_batch(const job::Job& teacher) {
  const auto vocabulary = static_cast<std::uint64_t>(nn::vocabulary_of(teacher.model));
  return std::max<std::uint64_t>(kLogitsBytes / (4 * vocabulary), teacher.training.context);
}

Result<Choice> choose_teacher(const job::Job& job, const topology::Topology& topology) {
  const topology::Node* best = nullptr;
  const std::uint64_t needed = state_of(job);
  const auto speed = [](const topology::Node& node) {
    return cost::flops_per_second(node.device, node.threads);
  };
  std::uint64_t most = 0;
  for (const topology::Node& node : topology.nodes) {
    if (node.relay_only) continue;
    most = std::max(most, node.memory);
    if (node.memory >= needed && (best == nullptr || speed(node) > speed(*best))) best = &node;
  }
  if (best == nullptr) {
    return Error{Code::kNoFit, "spec.model",
                 "a teacher needs " + format_size(needed) + " on one node, of which the largest " +
                     (most == 0 ? "is none" : "may use " + format_size(most)) +
                     "; use a node with more memory, or a smaller cache"};
  }
  Choice choice;
  choice.plan = plan_on(job, *best);
  choice.forecast.nodes.push_back({0, 0, 0, memory_of(choice.plan)[0]});
  ATOLL_TRY(validate(choice.plan));
  ATOLL_TRY(prove_live(choice.plan));
  return choice;
}

std::vector<NodeIndex> nodes_that_ask(const Plan& plan) {
  std::vector<NodeIndex> nodes;
  for (const Actor& actor : plan.actors) {
    const bool asks = actor.kind == ActorKind::kPupil;
    if (asks && std::ranges::count(nodes, actor.node) == 0) nodes.push_back(actor.node);
  }
  return nodes;
}

std::vector<Lessons> lessons_of(const job::Job& student) {
  std::vector<Lessons> all;
  if (!student.distillation) return all;
  const job::Distillation& distillation = *student.distillation;
  const std::int64_t vocabulary = nn::vocabulary_of(student.model);
  const std::uint64_t positions = std::uint64_t{student.training.leaves} *
                                  student.training.sequences_per_leaf * student.training.context;
  for (const job::Teacher& teacher : distillation.teachers) {
    all.push_back({teacher.job,
                   positions * said_bytes(distillation.top_k, distillation.values, vocabulary),
                   positions * 4 * static_cast<std::uint64_t>(vocabulary)});
  }
  return all;
}

std::string teaching_text(const Plan& plan) {
  const auto job = job::job_from_json(plan.descriptor);
  if (!job.ok()) return {};
  return job->serves ? service_text(*job) : student_text(*job);
}

}  // namespace reef::plan
