#pragma once
// A job as the user described it, validated: one that trains, or a teacher that serves others
// (teaching.h). Pure data.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/nn/config.h"
#include "ops/nn/spec.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "scheduler/job/local_steps.h"
#include "scheduler/job/parallelism.h"
#include "scheduler/job/teaching.h"

namespace reef::job {

struct Data {
  std::string path;            ///< folder made by `atoll data prepare`
  std::uint32_t prefetch = 2;  ///< micro-batches that may wait, read, for the model
  std::uint32_t workers = 1;   ///< threads that read the sequences of one
  bool operator==(const Data&) const = default;
};

struct Optimizer {  ///< AdamW with linear warm-up and cosine decay
  double learning_rate = 1e-3;
  double minimum_learning_rate = 1e-4;
  std::uint64_t warmup_steps = 0;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1;
  double clip_norm = 1.0;  ///< 0: no clipping
  bool operator==(const Optimizer&) const = default;
};

struct Training {
  std::uint64_t steps = 0;
  std::uint64_t seed = 1;
  std::uint32_t leaves = 8;  ///< V of rule 7: a power of two; one micro-batch is one leaf
  /// Global batch = leaves x sequences_per_leaf; by local steps of each datacenter.
  std::uint32_t sequences_per_leaf = 2;
  std::uint32_t context = 128;  ///< tokens per sequence, at most the longest of the model
  nn::Precision precision = nn::Precision::kF32;
  bool operator==(const Training&) const = default;
};

struct Evaluation {
  std::uint64_t every = 0;   ///< training steps between evaluations; 0: only at the end
  std::uint32_t rounds = 4;  ///< global batches of held-out text per evaluation
  bool operator==(const Evaluation&) const = default;
};

struct Checkpoints {
  std::uint64_t every = 0;  ///< training steps; 0: only at the end
  std::uint32_t keep = 3;
  std::string resume;  ///< folder of a checkpoint to start from, or empty
  bool operator==(const Checkpoints&) const = default;
};

struct Codecs {  ///< for edges that leave a process
  std::string activations = "none";
  std::string gradients = "none";
  std::string weights = "none";
  bool operator==(const Codecs&) const = default;
};

struct Job {
  std::string name;
  std::string topology;                       ///< path, relative to the descriptor
  std::vector<std::string> datacenters = {};  ///< of it, that the job may use; empty: all
  nn::ModelConfig model;
  std::string model_from;  ///< a Hugging Face folder whose weights it starts with, or empty
  Data data;
  Optimizer optimizer;
  Training training;
  Evaluation evaluation;
  Checkpoints checkpoints;
  Parallelism parallelism;
  Codecs codecs;
  std::optional<LocalSteps> local_steps = {};       ///< none: datacenters train in lock-step
  std::optional<AutomaticMode> automatic = {};      ///< which of the two is not chosen yet
  std::optional<Island> island = {};                ///< of one datacenter's part of such a job
  double pace = 1;                                  ///< its steps for one of the user's job
  std::optional<Distillation> distillation = {};    ///< of a student
  std::optional<Serves> serves = {};                ///< a TeacherService, which trains nothing
  Duration peer_timeout = std::chrono::seconds(5);  ///< silence after which a peer is given up
  bool operator==(const Job&) const = default;
};

/// Learning rate of training step `step` (1-based).
double learning_rate(const Optimizer& optimizer, std::uint64_t step, std::uint64_t steps);

/// The model as data, as the job computes it.
nn::ModelSpec spec_of(const Job& job);

/// Reads, limits, validates (JSON Schema, then the arithmetic) a YAML descriptor. Every error is
/// one line that names file, line:column, field, what was expected and the nearest known field.
/// Codes: kJobSyntax, kJobField, kJobValue. `topology` becomes relative to the working directory;
/// data.path, model.from and checkpoints.resume are so already; of model.from the config.json is
/// read. kData when the data folder is missing; kPath
/// when the descriptor is.
Result<Job> read_job(const std::string& path);
/// The same without looking at the data folder: of a job that is planned here and run elsewhere.
Result<Job> read_job_without_data(const std::string& path);
/// The same from text, without looking at the folders of data and model. `file` is used for
/// complaints and to resolve `topology`.
Result<Job> parse_job(std::string_view yaml, const std::string& file);
/// kUsage for a TeacherService: of commands that are about training.
Status check_trains(const Job& job);
/// kData with the command that helps when data.path is not a folder.
Status check_data(const Job& job);
/// The same from JSON text, as it stands in a plan (already validated once; still checked).
Result<Job> job_from_json(const std::string& json);
/// Canonical JSON of a job: what the plan carries.
std::string job_to_json(const Job& job);

}  // namespace reef::job
