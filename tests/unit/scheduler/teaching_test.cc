// Teachers and students as descriptors and plans have them.

#include "scheduler/plan/teaching.h"

#include <algorithm>

#include "samples.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/validate.h"
#include "tests/unit/scratch_folder.h"

namespace reef {
namespace {

std::string teacher_yaml(const std::string& serves) {
  return "apiVersion: atoll.dev/v1\n"
         "kind: TeacherService\n"
         "metadata: {name: wise}\n"
         "spec:\n"
         "  topology: topology.yaml\n"
         "  model: {type: gpt2, n_head: 6, from: runs/wise/model}\n"
         "  serves: {" +
         serves + "}\n";
}

std::string student_yaml(const std::string& distillation) {
  return sample_yaml() + "  distillation: {" + distillation + "}\n";
}

std::string refusal(const std::string& yaml) {
  const auto job = job::parse_job(yaml, "x.yaml");
  EXPECT_FALSE(job.ok());
  return job.ok() ? "" : job.error().text();
}

TEST(Teaching, DescriptorsComeBackAsTheyWere) {
  for (const std::string& yaml :
       {teacher_yaml("jobs: [keen]"),
        teacher_yaml("jobs: [keen, other], topK: 8, requestsPerSecond: 2.5, clip: 20, noise: 4, "
                     "delta: 1e-7, epsilon: 3, cache: 1MiB"),
        student_yaml("teachers: [{job: wise}]"),
        student_yaml("teachers: [{job: wise, weight: 0.25, side: source}, {job: wise}], "
                     "until: 50, temperature: 2, topK: 8, values: bf16, patience: 250ms")}) {
    const auto job = job::parse_job(yaml, "x.yaml");
    ASSERT_TRUE(job.ok()) << job.error().text();
    const auto again = job::job_from_json(job::job_to_json(*job));
    ASSERT_TRUE(again.ok()) << again.error().text();
    EXPECT_EQ(*again, *job);
  }
  const auto teacher = job::parse_job(teacher_yaml("jobs: [keen], cache: 1MiB"), "x.yaml");
  EXPECT_EQ(teacher->serves->cache, 1u << 20);
  EXPECT_EQ(teacher->training.context, 128u);
  EXPECT_FALSE(job::check_trains(*teacher).ok());
  const auto student = job::parse_job(student_yaml("teachers: [{job: wise, side: source}]"), "x");
  EXPECT_EQ(student->distillation->teachers[0].side, job::Teacher::Side::kSource);
  EXPECT_TRUE(job::check_trains(*student).ok());
}

TEST(Teaching, WhatCannotBeIsRefusedWhereItStands) {
  EXPECT_EQ(refusal(teacher_yaml("jobs: []")),
            "E_JOB_VALUE: x.yaml:7:12: spec.serves.jobs: has 0 items; at least 1 are needed");
  EXPECT_EQ(refusal(teacher_yaml("jobs: [keen, keen]")),
            "E_JOB_VALUE: x.yaml:7:19: spec.serves.jobs[0]: keen is listed twice");
  EXPECT_NE(refusal(teacher_yaml("jobs: [keen], noise: 1")).find("is a multiple of clip"),
            std::string::npos);
  EXPECT_NE(refusal(teacher_yaml("jobs: [keen], clip: 1, epsilon: 1")).find("without noise"),
            std::string::npos);
  EXPECT_NE(refusal(teacher_yaml("jobs: [keen], topk: 1")).find("did you mean 'topK'?"),
            std::string::npos);
  EXPECT_NE(refusal(teacher_yaml("jobs: [keen], cache: 12")).find("spec.serves.cache"),
            std::string::npos);
  EXPECT_EQ(refusal(student_yaml("teachers: [{job: wise}, {job: wise}]")),
            "E_JOB_VALUE: x.yaml:15:30: spec.distillation.teachers[0].job: wise is asked twice "
            "about the same side");
  EXPECT_NE(refusal(student_yaml("teachers: [{job: sample}]")).find("cannot teach itself"),
            std::string::npos);
  EXPECT_NE(refusal(student_yaml("teachers: [{job: wise}], topK: 257"))
                .find("257 tokens of a vocabulary of 256"),
            std::string::npos);
  for (const auto& [with, text] :
       {std::pair{"datacenters: {mode: local_steps}", "datacenters: {mode: local_steps}"},
        {"parallelism: {tp: 2}", "tp 2"},
        {"parallelism: {cp: 2}", "cp 2"}}) {
    std::string yaml = sample_yaml();
    yaml.resize(yaml.find("  parallelism"));
    const std::string said =
        refusal(yaml + "  " + with + "\n  distillation: {teachers: [{job: wise}]}\n");
    EXPECT_NE(said.find("spec.distillation: does not go together with " + std::string(text)),
              std::string::npos)
        << said;
  }
}

TEST(Teaching, WeightsFallToNothing) {
  job::Distillation distillation;
  EXPECT_EQ(job::share_of(distillation, 1000), 1);
  distillation.until = 4;
  const double expected[] = {1, 0.75, 0.5, 0.25, 0, 0};
  for (std::uint64_t step = 1; step <= 6; ++step)
    EXPECT_EQ(job::share_of(distillation, step), expected[step - 1]) << step;
}

TEST(Teaching, OnlyReadersOfDescriptorsSayWhatTokensMean) {
  ScratchFolder folder;
  const auto read = [&](const std::string& yaml) {
    put(folder / "job.yaml", yaml);
    const auto job = job::read_job_without_data((folder / "job.yaml").string());
    return job.ok() ? "" : job.error().what;
  };
  EXPECT_NE(read(student_yaml("teachers: [{job: wise}], vocabulary: abc")).find("leave it out"),
            std::string::npos);
  std::string yaml = teacher_yaml("jobs: [keen]");
  yaml.replace(yaml.find(", from: runs/wise/model"), 23, "");
  EXPECT_NE(read(yaml).find("name its folder"), std::string::npos);
  // Of a run that has ended the model in it is meant.
  put(folder / "run" / "model" / "config.json", R"({"model_type": "gpt2", "n_head": 6})");
  yaml = teacher_yaml("jobs: [keen]");
  yaml.replace(yaml.find("{type: gpt2, n_head: 6, from: runs/wise/model}"), 46,
               "{from: " + (folder / "run").string() + "}");
  put(folder / "job.yaml", yaml);
  const auto job = job::read_job((folder / "job.yaml").string());
  ASSERT_TRUE(job.ok()) << job.error().text();
  EXPECT_EQ(job->model_from, (folder / "run" / "model").string());
}

TEST(Teaching, ATeacherIsOneActorOnTheFastestNodeWithRoom) {
  const job::Job job = job::parse_job(teacher_yaml("jobs: [keen], cache: 1MiB"), "x.yaml").value();
  topology::Topology topology = sample_topology(4);
  topology.nodes[1].device.speed = 1e9;
  topology.nodes[2].device.speed = 1e15;
  topology.nodes[3].device.speed = 1e16;
  topology.nodes[3].memory = 1 << 20;
  const auto choice = plan::choose_plan(job, topology);
  ASSERT_TRUE(choice.ok()) << choice.error().text();
  const plan::Plan& plan = choice->plan;
  EXPECT_TRUE(plan::teaches(plan));
  ASSERT_EQ(plan.nodes.size(), 1u);
  EXPECT_EQ(plan.nodes[0].name, "node-2");
  EXPECT_TRUE(plan::validate(plan).ok());
  EXPECT_EQ(plan::decode(plan::encode(plan)).value(), plan);
  EXPECT_GT(plan::memory_of(plan)[0], std::uint64_t{1} << 20);
  EXPECT_NE(plan::teaching_text(plan).find("keen; nobody else"), std::string::npos);
  for (topology::Node& node : topology.nodes) node.memory = 1 << 20;
  const auto none = plan::choose_plan(job, topology);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kNoFit);
}

TEST(Teaching, APupilStandsBetweenLoaderAndLossOfEachCopy) {
  job::Job job = job::parse_job(student_yaml("teachers: [{job: wise}], topK: 4"), "x").value();
  auto made = plan::make_plan(job, sample_topology(4));
  ASSERT_TRUE(made.ok()) << made.error().text();
  EXPECT_FALSE(made->reproducible);
  EXPECT_EQ(plan::nodes_that_ask(*made).size(), 2u);
  for (const plan::NodeIndex node : plan::nodes_that_ask(*made)) {
    const auto loss = std::ranges::find_if(made->actors, [node](const plan::Actor& actor) {
      return actor.kind == plan::ActorKind::kLayerShard && actor.stage == 1 && actor.node == node;
    });
    EXPECT_NE(loss, made->actors.end());
  }
  const plan::Edge& targets = edge_named(*made, "targets.r0");
  EXPECT_EQ(made->actors[targets.producer].kind, plan::ActorKind::kPupil);
  const auto lessons = plan::lessons_of(job);
  ASSERT_EQ(lessons.size(), 1u);
  EXPECT_EQ(lessons[0].bytes, 8u * 2 * 128 * 4 * 3);
  EXPECT_EQ(lessons[0].full_bytes, 8u * 2 * 128 * 256 * 4);
  // What shares layers or sequences is not tried.
  job.parallelism.mode = job::Parallelism::Mode::kAuto;
  const auto best = plan::make_plan(job, sample_topology(4));
  ASSERT_TRUE(best.ok()) << best.error().text();
  EXPECT_EQ(best->ranks * best->context, 1u);
}

}  // namespace
}  // namespace reef
