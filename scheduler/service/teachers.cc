// Teachers and their students: who may ask whom, and where they find each other. All of them are of
// one meeting, the school, in which each knows only those whom it may ask or must answer.

#include <algorithm>

#include "runtime/base/log.h"
#include "runtime/base/text.h"
#include "scheduler/plan/route.h"
#include "scheduler/plan/teaching.h"
#include "scheduler/service/service.h"

namespace reef::service {
namespace {

constexpr std::size_t kMostPartners = 64;  ///< of one node
constexpr std::uint32_t kNodeBits = 16;    ///< of a student's number; actors/teach/desk.h

bool is_there(const auto& run) { return run.plan.epoch != 0 && !run.ending; }

/// As the student counts them: by the first entry of a name.
std::uint32_t number_of(const job::Distillation& distillation, const std::string& teacher) {
  const auto found = std::ranges::find(distillation.teachers, teacher, &job::Teacher::job);
  return static_cast<std::uint32_t>(found - distillation.teachers.begin());
}

bool asks(const job::Job& student, const std::string& teacher) {
  return student.distillation &&
         std::ranges::count(student.distillation->teachers, teacher, &job::Teacher::job) > 0;
}

}  // namespace

/// One that runs, or waits its turn.
const Service::Run* Service::teacher_named(const std::string& name) const {
  for (const auto& [id, run] : runs_) {
    if (run.job.serves && run.name == name && !run.ending) return &run;
  }
  for (const Run& run : queue_) {
    if (run.job.serves && run.name == name) return &run;
  }
  return nullptr;
}

/// Denied by default: the teacher's descriptor names whom it serves.
Status Service::may_teach(const Run& teacher, const job::Job& student) const {
  const job::Serves& serves = *teacher.job.serves;
  const job::Distillation& distillation = *student.distillation;
  const auto no = [&](const std::string& what) {
    return Error{Code::kRefused, "teacher " + teacher.name, what};
  };
  if (std::ranges::count(serves.jobs, student.name) == 0)
    return no("does not serve job " + student.name + "; its spec.serves.jobs lists " +
              join(serves.jobs));
  if (distillation.top_k > serves.top_k)
    return no("says at most " + std::to_string(serves.top_k) + " tokens of a position, job " +
              student.name + " asks for " + std::to_string(distillation.top_k) +
              "; lower spec.distillation.topK");
  const auto size = [](const job::Job& job) { return nn::vocabulary_of(job.model); };
  if (size(teacher.job) != size(student) || serves.vocabulary != distillation.vocabulary)
    return no("has another vocabulary than job " + student.name +
              "; prepare both texts with one tokenizer");
  const std::uint32_t shown = static_cast<std::uint32_t>(nn::longest_context_of(teacher.job.model));
  if (student.training.context > shown)
    return no("takes sequences of " + std::to_string(shown) + " tokens, job " + student.name +
              " has spec.training.context " + std::to_string(student.training.context));
  return {};
}

Status Service::check_teachers(const job::Job& student) const {
  if (!student.distillation) return {};
  for (const job::Teacher& asked : student.distillation->teachers) {
    const Run* const teacher = teacher_named(asked.job);
    if (teacher == nullptr) {
      return Error{
          Code::kRefused, "teacher " + asked.job,
          "is no TeacherService that runs or waits here; submit it before job " + student.name};
    }
    ATOLL_TRY(may_teach(*teacher, student));
  }
  return {};
}

/// A teacher has its node for itself and to no end: nobody waits for one that holds it, neither
/// another teacher nor a student that it waits for in turn.
Status Service::check_apart(const Run& run, const plan::Plan& plan) const {
  const auto holds = [](const plan::Plan& one, const std::string& node) {
    return std::ranges::count(one.nodes, node, &plan::Node::name) > 0;
  };
  const auto check = [&](const Run& teacher) -> Status {
    if (!teacher.job.serves || teacher.ending) return {};
    if (!run.job.serves && !asks(run.job, teacher.name)) return {};
    const std::string& node = teacher.plan.nodes[0].name;
    if (!holds(plan, node)) return {};
    return Error{Code::kRefused, "node " + node,
                 "is teacher " + teacher.name + "'s, who keeps it; place job " + run.name +
                     " in other datacenters with spec.placement.datacenters"};
  };
  for (const auto& [id, teacher] : runs_) ATOLL_TRY(check(teacher));
  for (const Run& teacher : queue_) ATOLL_TRY(check(teacher));
  return {};
}

/// Empty: all of them run.
std::string Service::waits_for_teacher(const job::Job& student) const {
  if (!student.distillation) return {};
  for (const job::Teacher& asked : student.distillation->teachers) {
    const Run* const teacher = teacher_named(asked.job);
    if (teacher == nullptr || teacher->state != "running")
      return "teacher " + asked.job + " does not serve yet";
  }
  return {};
}

/// A student that waits for a teacher which has gone. Whether there was one.
bool Service::refuse_untaught() {
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    const Status taught = check_teachers(queue_[i].job);
    if (taught.ok()) continue;
    Run run = std::move(queue_[i]);
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
    set_state(run, "failed", taught.error().text());
    tell_client(run, node::failure_message({0, taught.error()}));
    return true;
  }
  return false;
}

/// `for_student`: the partner is the teacher.
Result<node::Partner> Service::partner_at(std::uint32_t number, const plan::Node& student,
                                          const plan::Node& teacher, bool for_student) {
  const bool can = plan::can_dial(student, teacher);
  if (!can && !plan::can_dial(teacher, student)) {
    return Error{
        Code::kNoFit, student.name + " and " + teacher.name,
        "neither can dial the other, and teachers use no relay; place the one or the other "
        "on a node that can be dialled"};
  }
  const plan::Node& node = for_student ? teacher : student;
  const Member* const member = node_named(node.name);
  if (member == nullptr) return Error{Code::kPeerLost, "node " + node.name, "is not registered"};
  const topology::Line line =
      topology::line_between(topology_, student.datacenter, teacher.datacenter);
  return node::Partner{
      number,
      can == for_student,
      {node.name, member->host, member->port, to_bytes(member->credential.noise_key),
       topology::data_streams(line), line.congestion}};
}

Result<std::vector<node::Partner>> Service::students_of(const Run& teacher) {
  std::vector<node::Partner> partners;
  const auto& jobs = teacher.job.serves->jobs;
  for (const auto& [id, student] : runs_) {
    const auto listed = std::ranges::find(jobs, student.name);
    if (!is_there(student) || !asks(student.job, teacher.name) || listed == jobs.end()) continue;
    for (const plan::NodeIndex asking : plan::nodes_that_ask(student.plan)) {
      const plan::Node& node = student.plan.nodes[asking];
      const auto place = std::ranges::find(topology_.nodes, node.name, &topology::Node::name);
      const auto number = static_cast<std::uint32_t>(listed - jobs.begin()) << kNodeBits |
                          static_cast<std::uint32_t>(place - topology_.nodes.begin());
      ATOLL_ASSIGN(partners.emplace_back(), partner_at(number, node, teacher.plan.nodes[0], false));
    }
  }
  if (partners.size() <= kMostPartners) return partners;
  return Error{Code::kNoFit, "teacher " + teacher.name,
               std::to_string(partners.size()) + " nodes ask it; limit " +
                   std::to_string(kMostPartners) +
                   "; use fewer replicas, or a second teacher of the same model"};
}

Result<std::vector<node::Partner>> Service::teachers_of(const Run& student,
                                                        plan::NodeIndex asking) {
  std::vector<node::Partner> partners;
  for (const auto& [id, teacher] : runs_) {
    if (!teacher.job.serves || !is_there(teacher) || !asks(student.job, teacher.name)) continue;
    if (!may_teach(teacher, student.job).ok()) continue;  // another of its name, since
    ATOLL_ASSIGN(partners.emplace_back(),
                 partner_at(number_of(*student.job.distillation, teacher.name),
                            student.plan.nodes[asking], teacher.plan.nodes[0], true));
  }
  return partners;
}

/// Tells each whom it meets.
Status Service::introduce_school() {
  for (const auto& [id, run] : runs_) {
    if (!is_there(run)) continue;
    std::vector<plan::NodeIndex> nodes = plan::nodes_that_ask(run.plan);
    if (run.job.serves) nodes = {0};
    for (const plan::NodeIndex node : nodes) {
      node::Partners partners{run.plan.epoch, school_, {}};
      ATOLL_ASSIGN(partners.partners, run.job.serves ? students_of(run) : teachers_of(run, node));
      if (Member* const member = node_named(run.plan.nodes[node].name))
        send(*member, node::partners_message(partners));
    }
  }
  return {};
}

/// A teacher or a student came, or has left.
Status Service::school_changed(const Run& run) {
  return run.job.serves || run.job.distillation ? introduce_school() : Status();
}

}  // namespace reef::service
