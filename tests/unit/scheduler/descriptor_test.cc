#include <filesystem>

#include "samples.h"

namespace reef {
namespace {

using job::parse_job;

/// sample_yaml() with `from` replaced by `to`; the message it must give, word for word.
struct Row {
  const char* from;
  const char* to;
  const char* message;
};

class BadDescriptor : public testing::TestWithParam<Row> {};

TEST_P(BadDescriptor, IsRefusedInOneExactLine) {
  std::string yaml = sample_yaml();
  const auto at = yaml.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  yaml.replace(at, std::string(GetParam().from).size(), GetParam().to);
  const auto job = parse_job(yaml, "x.yaml");
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.error().text(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadDescriptor,
    testing::Values(
        Row{"dp:", "dpp:",
            "E_JOB_FIELD: x.yaml:13:5: spec.parallelism.dpp: unknown field; did you mean "
            "'dp'?"},
        Row{"  training:\n    steps: 100\n", "",
            "E_JOB_FIELD: x.yaml:5:1: spec.training: missing field"},
        Row{"steps: 100", "steps: many",
            "E_JOB_FIELD: x.yaml:11:5: spec.training.steps: expected an integer, found the text "
            "'many'"},
        Row{"steps: 100", "steps: '100'",
            "E_JOB_FIELD: x.yaml:11:5: spec.training.steps: expected an integer, found the text "
            "'100'"},
        Row{"steps: 100", "steps: 1.5",
            "E_JOB_FIELD: x.yaml:11:5: spec.training.steps: expected an integer, found the number "
            "1.5"},
        Row{"steps: 100", "steps:",
            "E_JOB_FIELD: x.yaml:11:5: spec.training.steps: expected an integer, found nothing"},
        Row{"n_head: 6", "n_heads: 6",
            "E_JOB_FIELD: x.yaml:7:23: spec.model.n_heads: unknown field; did you mean "
            "'n_head'?"}));

INSTANTIATE_TEST_SUITE_P(
    Values, BadDescriptor,
    testing::Values(
        Row{"steps: 100", "steps: 0",
            "E_JOB_VALUE: x.yaml:11:5: spec.training.steps: 0 is less than 1"},
        Row{"steps: 100", "steps: -3",
            "E_JOB_VALUE: x.yaml:11:5: spec.training.steps: -3 is less than 1"},
        Row{"n_head: 6", "n_head: 5",
            "E_JOB_VALUE: x.yaml:7:23: spec.model.n_head: n_embd 192 is not a multiple of n_head "
            "5; "
            "192 = 38 x 5 + 2"},
        Row{"n_head: 6", "attn_pdrop: .nan",
            "E_JOB_VALUE: x.yaml:7:23: spec.model.attn_pdrop: NaN is not a finite number"},
        Row{"n_head: 6", "initializer_range: 1e999",
            "E_JOB_VALUE: x.yaml:7:23: spec.model.initializer_range: infinity is not a finite "
            "number"},
        Row{"pp: 2", "pp: 12",
            "E_JOB_VALUE: x.yaml:14:5: spec.parallelism.pp: 12 stages but 10 layers "
            "(embedding, 4 blocks of 2, head)"},
        Row{"pp: 2", "layers: [4, 7]\n    pp: 2",
            "E_JOB_VALUE: x.yaml:14:5: spec.parallelism.layers: 2 stages with 11 layers, but there "
            "are 2 stages and 10 layers"},
        Row{"pp: 2", "schedule: interleaved:1",
            "E_JOB_VALUE: x.yaml:14:5: spec.parallelism.schedule: 'interleaved:1' is not 1f1b, "
            "zero-bubble or interleaved:N with N in 2..64 ranges of layers a device"},
        Row{"pp: 2", "schedule: interleaved:2",
            "E_JOB_VALUE: x.yaml:14:5: spec.parallelism.schedule: one device has nothing to "
            "interleave with; raise pp or leave the schedule out"},
        Row{"dp: 2", "dp: 3",
            "E_JOB_VALUE: x.yaml:13:5: spec.parallelism.dp: 3 is not a power of two; the "
            "nearest are "
            "2 and 4"},
        Row{"dp: 2", "dp: 16",
            "E_JOB_VALUE: x.yaml:13:5: spec.parallelism.dp: 16 replicas but 8 leaves; each "
            "replica "
            "needs at least one"},
        Row{"steps: 100", "steps: 100\n    leaves: 6",
            "E_JOB_VALUE: x.yaml:12:5: spec.training.leaves: 6 is not a power of two; the nearest "
            "are 4 and 8"},
        Row{"steps: 100", "steps: 100\n    context: 129",
            "E_JOB_VALUE: x.yaml:12:5: spec.training.context: context 129 is longer than the "
            "model's "
            "n_positions 128"},
        Row{"  parallelism:", "  optimizer: {warmupSteps: 100}\n  parallelism:",
            "E_JOB_VALUE: x.yaml:12:15: spec.optimizer.warmupSteps: 100 warm-up steps but 100 "
            "steps in all; "
            "warm-up must be shorter"},
        Row{"  parallelism:", "  codecs: {weights: zstd}\n  parallelism:",
            "E_JOB_VALUE: x.yaml:12:12: spec.codecs.weights: 'zstd' is not one of none, bf16, "
            "none+zstd, "
            "bf16+zstd"},
        Row{"  parallelism:", "  codecs: {gradients: int7}\n  parallelism:",
            "E_JOB_VALUE: x.yaml:12:12: spec.codecs.gradients: int7 is not a codec; use none, "
            "bf16, "
            "fp8, int8 or int4, alone or with +zstd behind it, top-k:0.01 or power-sgd:4, alone or "
            "with such a codec of their values behind it (top-k:0.01:int4+zstd), or auto:0.01"},
        Row{"  parallelism:", "  codecs: {activations: top-k:0.1}\n  parallelism:",
            "E_JOB_VALUE: x.yaml:12:12: spec.codecs.activations: top-k:0.1 is for gradients, whose "
            "remainder the next step sends; use a codec without feedback, such as int8+zstd or "
            "auto:0.01"},
        Row{"  parallelism:", "  codecs: {gradients: top-k:0.1}\n  parallelism:\n    zero_stage: 1",
            "E_JOB_VALUE: x.yaml:12:12: spec.codecs.gradients: top-k:0.1 remembers whole "
            "gradients, "
            "of which zero_stage 1 sends each replica only its own part; use zero_stage 0, or a "
            "codec without feedback, such as int8+zstd"},
        Row{"  parallelism:",
            "  codecs: {gradients: power-sgd:4}\n  parallelism:\n    zero_stage: 2",
            "E_JOB_VALUE: x.yaml:12:12: spec.codecs.gradients: power-sgd:4 remembers whole "
            "gradients, of which zero_stage 2 sends each replica only its own part; use zero_stage "
            "0, or a codec without feedback, such as int8+zstd"},
        Row{"pp: 2", "zero_stage: 4",
            "E_JOB_VALUE: x.yaml:14:5: spec.parallelism.zero_stage: 4 is greater than 3"},
        Row{"pp: 2", "zero_stage: 3\n    tp: 2",
            "E_JOB_VALUE: x.yaml:14:5: spec.parallelism.zero_stage: 3 gathers weights for one "
            "group "
            "of layers after the other, forward and then backward, but with tp 2 layers wait for "
            "others in between; use zero_stage 2, or leave tp out"},
        Row{"pp: 2", "pp: 2\n    zero_stage: 3\n    schedule: zero-bubble",
            "E_JOB_VALUE: x.yaml:15:5: spec.parallelism.zero_stage: 3 gathers weights for one "
            "group "
            "of layers after the other, forward and then backward, but with schedule zero-bubble "
            "layers wait for others in between; use zero_stage 2, or leave schedule out"},
        Row{"  parallelism:", "  codecs: {gradients: top-k:2}\n  parallelism:",
            "E_JOB_VALUE: x.yaml:12:12: spec.codecs.gradients: top-k keeps 2 of the values; use a "
            "fraction over 0 and at most 1"},
        Row{"steps: 100", "steps: 100\n    precision: fp16",
            "E_JOB_VALUE: x.yaml:12:5: spec.training.precision: 'fp16' is not one of fp32, bf16; "
            "did you mean 'fp32'?"},
        Row{"  parallelism:", "  peerTimeout: 5\n  parallelism:",
            "E_JOB_FIELD: x.yaml:12:3: spec.peerTimeout: expected text, found the integer 5"},
        Row{"name: sample", "name: My_Job",
            "E_JOB_VALUE: x.yaml:4:3: metadata.name: 'My_Job' is not a name; 1 to 63 of a-z, 0-9 "
            "and -"},
        Row{"kind: TrainingJob", "kind: Job",
            "E_JOB_VALUE: x.yaml:2:1: kind: 'Job' is not one of TrainingJob, TeacherService"}));

INSTANTIATE_TEST_SUITE_P(
    Syntax, BadDescriptor,
    testing::Values(Row{"pp: 2", "dp: 2",
                        "E_JOB_SYNTAX: x.yaml:14:5: 'dp' stands twice; first in line 13"},
                    Row{"path: data/bible", "path: &a data/bible",
                        "E_JOB_SYNTAX: x.yaml:9:11: anchors are not allowed; write the value out"},
                    Row{"name: sample", "name: \xff", "E_JOB_SYNTAX: x.yaml:4:9: not UTF-8 text"},
                    Row{"pp: 2", "pp: 2\n---\nmore: 1",
                        "E_JOB_SYNTAX: x.yaml:16:1: a second document; one file holds one"}));

TEST(Descriptor, RefusesDeepAndLargeText) {
  const auto deep = parse_job("a: " + std::string(100000, '['), "x.yaml");
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(deep.error().code, Code::kJobSyntax);
  const auto large = parse_job(std::string((1 << 20) + 1, '#'), "x.yaml");
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, Code::kJobSyntax);
  EXPECT_FALSE(parse_job("", "x.yaml").ok());
  EXPECT_FALSE(parse_job("just text", "x.yaml").ok());
}

TEST(Descriptor, NeverCrashesOnDamage) {
  const std::string yaml = sample_yaml();
  for (std::size_t i = 0; i < yaml.size(); ++i) {
    (void)parse_job(yaml.substr(0, i), "x.yaml");
    for (const char c : {'[', '{', '\n', '-', ':', '&', '*', '\0', '\x80'}) {
      std::string damaged = yaml;
      damaged[i] = c;
      (void)parse_job(damaged, "x.yaml");
    }
  }
}

TEST(Descriptor, KeepsWhatWasSaidThroughJson) {
  const auto job = job::parse_job(sample_yaml(), "jobs/sample.yaml");
  ASSERT_TRUE(job.ok()) << job.error().text();
  EXPECT_EQ(job->topology, "jobs/topology.yaml");
  const auto again = job::job_from_json(job::job_to_json(*job));
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(*again, *job);
}

TEST(Descriptor, KeepsWhatReplicasShareOut) {
  EXPECT_EQ(parse_job(sample_yaml(), "x.yaml").value().parallelism.zero_stage, 0u);
  for (const std::uint32_t stage : {1, 2, 3}) {
    const auto job =
        parse_job(sample_yaml() + "    zero_stage: " + std::to_string(stage) + "\n", "x.yaml");
    ASSERT_TRUE(job.ok()) << job.error().text();
    EXPECT_EQ(job->parallelism.zero_stage, stage);
    EXPECT_EQ(job::job_from_json(job::job_to_json(*job)).value(), *job);
  }
}

TEST(Descriptor, ComputesInF32UnlessItSaysOtherwise) {
  EXPECT_EQ(sample_job(1, 1).training.precision, nn::Precision::kF32);
  std::string yaml = sample_yaml();
  yaml.replace(yaml.find("steps: 100"), 10, "{steps: 100, precision: bf16}");
  const auto job = parse_job(yaml, "x.yaml");
  ASSERT_TRUE(job.ok()) << job.error().text();
  EXPECT_EQ(job->training.precision, nn::Precision::kBF16);
  EXPECT_EQ(job::job_from_json(job::job_to_json(*job)).value(), *job);
}

TEST(Descriptor, SaysHowToMakeMissingData) {
  job::Job job = sample_job(1, 1);
  job.data.path = "no/such/folder";
  EXPECT_EQ(job::check_data(job).error().text(),
            "E_DATA: no/such/folder: there is no such folder; spec.data.path is relative to the "
            "working directory; make the folder with: atoll data prepare");
}

TEST(LearningRate, WarmsUpThenFallsToItsFloor) {
  const job::Optimizer optimizer{
      .learning_rate = 1.0, .minimum_learning_rate = 0.1, .warmup_steps = 10};
  EXPECT_DOUBLE_EQ(job::learning_rate(optimizer, 5, 110), 0.5);
  EXPECT_DOUBLE_EQ(job::learning_rate(optimizer, 10, 110), 1.0);
  EXPECT_NEAR(job::learning_rate(optimizer, 60, 110), 0.55, 1e-12);
  EXPECT_DOUBLE_EQ(job::learning_rate(optimizer, 110, 110), 0.1);
}

}  // namespace
}  // namespace reef
