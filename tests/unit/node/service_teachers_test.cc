// The scheduler, teachers and their students.

#include "several_jobs.h"

namespace reef::service {
namespace {

/// A teacher of one node in the east and students in the west, of one or two nodes that ask.
class School : public SeveralJobs {
 protected:
  void submit_teacher(const std::vector<std::string>& serves, std::uint32_t top_k = 32) {
    job::Job teacher = sample_job(1, 1);
    teacher.name = "wise";
    teacher.model_from = "runs/wise/model";
    teacher.datacenters = {"east"};
    teacher.serves.emplace();
    teacher.serves->jobs = serves;
    teacher.serves->top_k = top_k;
    user_->send(node::submit_message({"runs/wise", job::job_to_json(teacher)}));
  }
  void submit_student(const std::string& name, std::uint32_t dp = 1, std::uint32_t top_k = 16) {
    job::Job student = sample_job(dp, 2 / dp);
    student.name = name;
    student.datacenters = {"west"};
    student.distillation.emplace();
    student.distillation->teachers = {{"wise", 1, job::Teacher::Side::kTarget}};
    student.distillation->top_k = top_k;
    user_->send(node::submit_message({"runs/" + name, job::job_to_json(student)}));
  }
  node::Partners partners_of(const std::string& node, std::uint64_t epoch, std::size_t count) {
    node::Partners partners;
    EXPECT_TRUE(within([&] {
      const auto message = nodes_.at(node)->expect(node::Kind::kPartners);
      if (!message) return false;
      partners = node::read_partners(*message).value();
      return partners.epoch == epoch && partners.partners.size() == count;
    })) << node;
    return partners;
  }
  /// The user is told so last.
  bool refused(const std::string& text) {
    return within([&] {
      const auto message = user_->expect(node::Kind::kFailure);
      return message && node::read_failure(*message)->error.text().find(text) != std::string::npos;
    });
  }
};

TEST_F(School, StudentsWaitForTheirTeacherAndThenTheyMeet) {
  submit_teacher({"other", "keen"});
  const std::uint64_t teacher = epoch_of("node-0", "wise");
  submit_student("keen", 2);
  EXPECT_TRUE(
      within([&] { return reason_of("keen") == "waiting: teacher wise does not serve yet"; }));
  nodes_.at("node-0")->send(node::signal_message(node::Kind::kReady, {teacher, 0, ""}));
  const std::uint64_t student = epoch_of("node-2", "keen");
  const node::Partners of_teacher = partners_of("node-0", teacher, 2);
  EXPECT_EQ(of_teacher.partners[0].island, 1u << 16 | 2u);  // the second job, the third node
  EXPECT_EQ(of_teacher.partners[1].island, 1u << 16 | 3u);
  EXPECT_FALSE(of_teacher.partners[0].dials);
  for (const char* node : {"node-2", "node-3"}) {
    const node::Partners of_student = partners_of(node, student, 1);
    EXPECT_EQ(of_student.meeting, of_teacher.meeting);
    EXPECT_EQ(of_student.partners[0].island, 0u);
    EXPECT_EQ(of_student.partners[0].peer.name, "node-0");
    EXPECT_TRUE(of_student.partners[0].dials);
  }
  // Of a teacher that is gone they hear, and go on.
  nodes_.at("node-0").reset();
  partners_of("node-2", student, 0);
  EXPECT_TRUE(within([&] { return reason_of("wise").starts_with("failed"); }));
  EXPECT_FALSE(reason_of("keen").starts_with("failed"));
}

TEST_F(School, WhoIsNotListedIsRefused) {
  submit_student("keen");
  EXPECT_TRUE(
      refused("E_REFUSED: teacher wise: is no TeacherService that runs or waits here; submit it "
              "before job keen"));
  submit_teacher({"other"}, 8);
  epoch_of("node-0", "wise");
  submit_student("keen");
  EXPECT_TRUE(refused(
      "E_REFUSED: teacher wise: does not serve job keen; its spec.serves.jobs lists other"));
  submit_teacher({"other"});
  EXPECT_TRUE(refused("runs or waits here already"));
  submit_student("other");
  EXPECT_TRUE(refused("says at most 8 tokens of a position, job other asks for 16"));
}

TEST_F(School, StudentsOfATeacherThatNeverCameAreRefused) {
  submit_teacher({"keen"});
  const std::uint64_t teacher = epoch_of("node-0", "wise");
  submit_student("keen");
  EXPECT_TRUE(
      within([&] { return reason_of("keen") == "waiting: teacher wise does not serve yet"; }));
  nodes_.at("node-0")->send(
      node::failure_message({teacher, Error{Code::kPath, "teacher", "no model"}}));
  stop("node-0", teacher);
  EXPECT_TRUE(within([&] { return reason_of("keen").starts_with("failed: E_REFUSED"); }));
}

TEST_F(School, ATeacherThatIsToldToStopHasNoStepToFinish) {
  submit_teacher({"keen"});
  const std::uint64_t teacher = epoch_of("node-0", "wise");
  nodes_.at("node-0")->send(node::signal_message(node::Kind::kReady, {teacher, 0, ""}));
  EXPECT_TRUE(within([&] { return reason_of("wise") == "running: "; }));
  user_->send(node::signal_message(node::Kind::kCancel, {}));
  stop("node-0", teacher);
  EXPECT_TRUE(within([&] { return reason_of("wise").starts_with("stopped"); }));
}

}  // namespace
}  // namespace reef::service
