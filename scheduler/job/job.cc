#include "scheduler/job/job.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "configs/schema/schemas.h"
#include "ops/nn/config_json.h"
#include "runtime/base/units.h"
#include "scheduler/job/check.h"
#include "scheduler/job/document.h"
#include "scheduler/job/initial_model.h"

namespace reef::job {
namespace {

/// Sets `to` from an optional field; the schema has fixed its type.
template <typename T>
void take(const Json& from, const char* name, T& to) {
  if (const auto field = from.find(name); field != from.end() && !field->is_null())
    to = field->get<T>();
}

const Json& group(const Json& spec, const char* name) {
  static const Json none = Json::object();
  const auto field = spec.find(name);
  return field == spec.end() ? none : *field;
}

Result<nn::ModelConfig> model_from(const Document& document) {
  auto model = nn::unchecked_config_from_json(document.value["spec"]["model"], Code::kJobValue, "");
  if (model.ok()) return model;
  return complaint(document, Code::kJobValue, "/spec/model", model.error().what);
}

Optimizer optimizer_from(const Json& from) {
  Optimizer optimizer;
  take(from, "learningRate", optimizer.learning_rate);
  // A tenth of the peak is the usual floor; a fixed default could lie above a small peak.
  optimizer.minimum_learning_rate = optimizer.learning_rate / 10;
  take(from, "minimumLearningRate", optimizer.minimum_learning_rate);
  take(from, "warmupSteps", optimizer.warmup_steps);
  take(from, "beta1", optimizer.beta1);
  take(from, "beta2", optimizer.beta2);
  take(from, "epsilon", optimizer.epsilon);
  take(from, "weightDecay", optimizer.weight_decay);
  take(from, "clipNorm", optimizer.clip_norm);
  return optimizer;
}

Training training_from(const Json& from) {
  Training training;
  take(from, "steps", training.steps);
  take(from, "seed", training.seed);
  take(from, "leaves", training.leaves);
  take(from, "sequencesPerLeaf", training.sequences_per_leaf);
  take(from, "context", training.context);
  std::string precision(nn::name_of(training.precision));
  take(from, "precision", precision);
  training.precision = nn::precision_named(precision).value();  // the schema has listed them
  return training;
}

Result<Parallelism> parallelism_from(const Json& from, const Document& document) {
  Parallelism parallelism;
  std::string mode = "manual";
  take(from, "mode", mode);
  if (mode == "auto") parallelism.mode = Parallelism::Mode::kAuto;
  for (const char* field :
       {"dp", "pp", "tp", "schedule", "recompute", "zero_stage", "layers", "micro_batches"}) {
    if (mode == "auto" && from.contains(field)) {
      return complaint(document, Code::kJobValue, "/spec/parallelism/" + std::string(field),
                       "is chosen by the planner in mode auto; leave it out, or say mode: manual");
    }
  }
  if (mode == "auto" && from.contains("cp")) {
    return complaint(document, Code::kJobValue, "/spec/parallelism/cp",
                     "is not tried in mode auto; leave it out, or say mode: manual");
  }
  take(from, "layers", parallelism.layers);
  take(from, "micro_batches", parallelism.micro_batches);
  take(from, "dp", parallelism.dp);
  take(from, "pp", parallelism.pp);
  take(from, "tp", parallelism.tp);
  take(from, "cp", parallelism.cp);
  take(from, "zero_stage", parallelism.zero_stage);
  take(from, "bucket_bytes", parallelism.bucket_bytes);
  std::string recompute(nn::name_of(parallelism.recompute));
  take(from, "recompute", recompute);
  parallelism.recompute = nn::recompute_named(recompute).value();  // the schema has listed them
  std::string schedule = name_of(parallelism.schedule);
  take(from, "schedule", schedule);
  const auto known = parse_schedule(schedule);
  if (!known.ok())
    return complaint(document, Code::kJobValue, "/spec/parallelism/schedule", known.error().what);
  parallelism.schedule = *known;
  return parallelism;
}

Result<Duration> duration_from(const Json& group, const char* name, const std::string& pointer,
                               Duration otherwise, const Document& document) {
  const auto field = group.find(name);
  if (field == group.end()) return otherwise;
  const auto duration = parse_duration(field->get<std::string>());
  if (duration) return *duration;
  return complaint(document, Code::kJobValue, pointer + "/" + name, duration.error().what);
}

Result<LocalSteps> local_steps_from(const Json& from, const Document& document) {
  LocalSteps local;
  std::string pace = "own";
  take(from, "pace", pace);
  local.own_pace = pace == "own";
  take(from, "inner_steps", local.inner_steps);
  local.fragments =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(local.fragments, local.inner_steps));
  take(from, "fragments", local.fragments);
  take(from, "codec", local.codec);
  take(from, "outer_learning_rate", local.outer_learning_rate);
  take(from, "outer_momentum", local.outer_momentum);
  take(from, "quorum", local.quorum);
  take(from, "loss_guard", local.loss_guard);
  ATOLL_ASSIGN(local.grace,
               duration_from(from, "grace", "/spec/datacenters", local.grace, document));
  ATOLL_ASSIGN(local.outage,
               duration_from(from, "outage", "/spec/datacenters", local.outage, document));
  return local;
}

/// What the planner chooses is not the job's to say.
Status take_automatic(const Json& spec, const Document& document, Job& job) {
  const Json& from = spec["datacenters"];
  const auto chosen = [&](const std::string& pointer, const char* remedy) {
    return complaint(
        document, Code::kJobValue, pointer,
        "is chosen by the planner where datacenters have mode auto; " + std::string(remedy));
  };
  for (const char* field : {"inner_steps", "fragments", "codec", "island"}) {
    if (from.contains(field))
      return chosen("/spec/datacenters/" + std::string(field),
                    "leave it out, or say mode: local_steps");
  }
  if (spec.contains("codecs")) return chosen("/spec/codecs", "leave it out, or say a mode");
  if (!spec.contains("parallelism")) job.parallelism.mode = Parallelism::Mode::kAuto;
  if (job.parallelism.mode != Parallelism::Mode::kAuto)
    return chosen("/spec/parallelism", "leave it out, or say mode: auto in it, too");
  AutomaticMode automatic;
  take(from, "extra_tokens", automatic.extra_tokens);
  ATOLL_ASSIGN(automatic.local, local_steps_from(from, document));
  if (!from.contains("loss_guard") && job.evaluation.every > 0 && job.evaluation.rounds > 0)
    automatic.local.loss_guard = AutomaticMode::kUsualGuard;
  job.automatic = std::move(automatic);
  return {};
}

/// Sets what the job says of how datacenters work together. Behind parallelism.
Status take_datacenters(const Json& spec, const Document& document, Job& job) {
  const Json& from = group(spec, "datacenters");
  const std::string pointer = "/spec/datacenters";
  std::string mode = "synchronous";
  take(from, "mode", mode);
  if (mode == "auto") return take_automatic(spec, document, job);
  if (from.contains("extra_tokens"))
    return complaint(document, Code::kJobValue, pointer + "/extra_tokens",
                     "is of mode auto; leave it out, or say mode: auto");
  if (mode == "synchronous") {
    for (const auto& [field, value] : from.items()) {
      if (field != "mode")
        return complaint(document, Code::kJobValue, pointer + "/" + field,
                         "is of mode local_steps; leave it out, or say mode: local_steps");
    }
    return {};
  }
  ATOLL_ASSIGN(job.local_steps, local_steps_from(from, document));
  if (from.contains("island")) {
    job.island.emplace();
    take(from["island"], "index", job.island->index);
    take(from["island"], "datacenters", job.island->datacenters);
    take(from["island"], "begun", job.island->begun);
    take(from["island"], "first_step", job.island->first_step);
    take(from["island"], "pace", job.pace);
  }
  return {};
}

Result<Distillation> distillation_from(const Json& from, const Document& document) {
  Distillation distillation;
  for (const Json& one : from["teachers"]) {
    Teacher& teacher = distillation.teachers.emplace_back();
    take(one, "job", teacher.job);
    take(one, "weight", teacher.weight);
    std::string side = name_of(teacher.side);
    take(one, "side", side);
    if (side == name_of(Teacher::Side::kSource)) teacher.side = Teacher::Side::kSource;
  }
  take(from, "until", distillation.until);
  take(from, "temperature", distillation.temperature);
  take(from, "topK", distillation.top_k);
  std::string values = name_of(distillation.values);
  take(from, "values", values);
  if (values == name_of(SaidAs::kBF16)) distillation.values = SaidAs::kBF16;
  ATOLL_ASSIGN(distillation.patience, duration_from(from, "patience", "/spec/distillation",
                                                    distillation.patience, document));
  take(from, "vocabulary", distillation.vocabulary);
  return distillation;
}

Result<Serves> serves_from(const Json& from, const Document& document) {
  Serves serves;
  take(from, "jobs", serves.jobs);
  take(from, "topK", serves.top_k);
  take(from, "requestsPerSecond", serves.requests_per_second);
  take(from, "clip", serves.clip);
  take(from, "noise", serves.noise);
  take(from, "delta", serves.delta);
  take(from, "epsilon", serves.epsilon);
  if (const auto cache = from.find("cache"); cache != from.end()) {
    const auto size = parse_size(cache->get<std::string>());
    if (!size.ok())
      return complaint(document, Code::kJobValue, "/spec/serves/cache", size.error().what);
    serves.cache = *size;
  }
  take(from, "vocabulary", serves.vocabulary);
  return serves;
}

/// The schema of a teacher, with the model of a training job's.
std::string teacher_schema() {
  Json schema = Json::parse(schema::kTeacherSchema);
  Json& model = schema["properties"]["spec"]["properties"]["model"];
  model = Json::parse(schema::kJobSchema)["properties"]["spec"]["properties"]["model"];
  return schema.dump();
}

bool is_teacher(const Document& document) {
  const Json& value = document.value;
  return value.is_object() && value.value("kind", Json()) == "TeacherService";
}

/// What every kind of job says: its name, where it runs, and its model.
Result<Job> begun(const Document& document) {
  const Json& spec = document.value["spec"];
  Job job;
  take(document.value["metadata"], "name", job.name);
  take(spec, "topology", job.topology);
  take(group(spec, "placement"), "datacenters", job.datacenters);
  ATOLL_ASSIGN(job.model, model_from(document));
  take(spec["model"], "from", job.model_from);
  return job;
}

Result<Job> teacher_from(const Document& document) {
  static const Schema schema(teacher_schema());
  ATOLL_TRY(schema.check(document));
  const Json& spec = document.value["spec"];
  ATOLL_ASSIGN(Job job, begun(document));
  job.training = training_from({});
  job.training.context = static_cast<std::uint32_t>(nn::longest_context_of(job.model));
  std::string precision(nn::name_of(job.training.precision));
  take(spec, "precision", precision);
  job.training.precision = nn::precision_named(precision).value();  // the schema has listed them
  ATOLL_ASSIGN(job.serves, serves_from(spec["serves"], document));
  ATOLL_ASSIGN(job.peer_timeout,
               duration_from(spec, "peerTimeout", "/spec", job.peer_timeout, document));
  ATOLL_TRY(check_teacher(job, document));
  return job;
}

Result<Job> job_from(const Document& document) {
  if (is_teacher(document)) return teacher_from(document);
  static const Schema schema(schema::kJobSchema);
  ATOLL_TRY(schema.check(document));
  const Json& spec = document.value["spec"];
  ATOLL_ASSIGN(Job job, begun(document));
  take(spec["data"], "path", job.data.path);
  take(spec["data"], "prefetch", job.data.prefetch);
  take(spec["data"], "workers", job.data.workers);
  job.optimizer = optimizer_from(group(spec, "optimizer"));
  job.training = training_from(spec["training"]);
  take(group(spec, "evaluation"), "every", job.evaluation.every);
  take(group(spec, "evaluation"), "rounds", job.evaluation.rounds);
  take(group(spec, "checkpoints"), "every", job.checkpoints.every);
  take(group(spec, "checkpoints"), "keep", job.checkpoints.keep);
  take(group(spec, "checkpoints"), "resume", job.checkpoints.resume);
  ATOLL_ASSIGN(job.parallelism, parallelism_from(group(spec, "parallelism"), document));
  take(group(spec, "codecs"), "activations", job.codecs.activations);
  take(group(spec, "codecs"), "gradients", job.codecs.gradients);
  take(group(spec, "codecs"), "weights", job.codecs.weights);
  ATOLL_TRY(take_datacenters(spec, document, job));
  if (spec.contains("distillation")) {
    ATOLL_ASSIGN(job.distillation, distillation_from(spec["distillation"], document));
  }
  ATOLL_ASSIGN(job.peer_timeout,
               duration_from(spec, "peerTimeout", "/spec", job.peer_timeout, document));
  ATOLL_TRY(check_values(job, document));
  return job;
}

/// The shortest exact text, "5s" rather than "5000000000ns".
std::string duration_text(Duration duration) {
  const auto ns = duration.count();
  if (ns % 1'000'000'000 == 0) return std::to_string(ns / 1'000'000'000) + "s";
  if (ns % 1'000'000 == 0) return std::to_string(ns / 1'000'000) + "ms";
  return std::to_string(ns) + "ns";
}

Json parallelism_to(const Parallelism& parallelism) {
  Json written;
  if (parallelism.mode == Parallelism::Mode::kAuto) {
    written = {{"mode", "auto"}};
  } else {
    written = {{"mode", "manual"},
               {"dp", parallelism.dp},
               {"pp", parallelism.pp},
               {"tp", parallelism.tp},
               {"cp", parallelism.cp},
               {"schedule", name_of(parallelism.schedule)},
               {"recompute", nn::name_of(parallelism.recompute)},
               {"zero_stage", parallelism.zero_stage}};
  }
  if (parallelism.bucket_bytes > 0) written["bucket_bytes"] = parallelism.bucket_bytes;
  if (!parallelism.layers.empty()) written["layers"] = parallelism.layers;
  if (!parallelism.micro_batches.empty()) written["micro_batches"] = parallelism.micro_batches;
  return written;
}

/// Of local steps, what mode auto leaves to the job.
Json outer_to(const LocalSteps& local) {
  return {{"pace", local.own_pace ? "own" : "equal"},
          {"outer_learning_rate", local.outer_learning_rate},
          {"outer_momentum", local.outer_momentum},
          {"quorum", local.quorum},
          {"loss_guard", local.loss_guard},
          {"grace", duration_text(local.grace)},
          {"outage", duration_text(local.outage)}};
}

Json datacenters_to(const Job& job) {
  if (job.automatic) {
    Json written = outer_to(job.automatic->local);
    written["mode"] = "auto";
    written["extra_tokens"] = job.automatic->extra_tokens;
    return written;
  }
  const LocalSteps& local = *job.local_steps;
  Json written = outer_to(local);
  written["mode"] = "local_steps";
  written["inner_steps"] = local.inner_steps;
  written["fragments"] = local.fragments;
  written["codec"] = local.codec;
  if (job.island) {
    written["island"] = {{"index", job.island->index},
                         {"datacenters", job.island->datacenters},
                         {"begun", job.island->begun},
                         {"first_step", job.island->first_step},
                         {"pace", job.pace}};
  }
  return written;
}

Json distillation_to(const Distillation& distillation) {
  Json teachers = Json::array();
  for (const Teacher& teacher : distillation.teachers) {
    teachers.push_back(
        {{"job", teacher.job}, {"weight", teacher.weight}, {"side", name_of(teacher.side)}});
  }
  return {{"teachers", teachers},
          {"until", distillation.until},
          {"temperature", distillation.temperature},
          {"topK", distillation.top_k},
          {"values", name_of(distillation.values)},
          {"patience", duration_text(distillation.patience)},
          {"vocabulary", distillation.vocabulary}};
}

/// What is not 0, since that is how it is left out.
Json serves_to(const Serves& serves) {
  Json written = {{"jobs", serves.jobs},
                  {"topK", serves.top_k},
                  {"delta", serves.delta},
                  {"cache", std::to_string(serves.cache) + "B"},
                  {"vocabulary", serves.vocabulary}};
  if (serves.requests_per_second > 0) written["requestsPerSecond"] = serves.requests_per_second;
  if (serves.clip > 0) written["clip"] = serves.clip;
  if (serves.noise > 0) written["noise"] = serves.noise;
  if (serves.epsilon > 0) written["epsilon"] = serves.epsilon;
  return written;
}

std::string document_of(const char* kind, const Job& job, Json spec) {
  if (!job.datacenters.empty()) spec["placement"] = {{"datacenters", job.datacenters}};
  const Json document = {{"apiVersion", "atoll.dev/v1"},
                         {"kind", kind},
                         {"metadata", {{"name", job.name}}},
                         {"spec", std::move(spec)}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string teacher_to_json(const Job& job, Json model) {
  return document_of("TeacherService", job,
                     {{"topology", job.topology},
                      {"model", std::move(model)},
                      {"precision", nn::name_of(job.training.precision)},
                      {"serves", serves_to(*job.serves)},
                      {"peerTimeout", duration_text(job.peer_timeout)}});
}

Json optimizer_to(const Optimizer& optimizer) {
  return {{"name", "adamw"},
          {"learningRate", optimizer.learning_rate},
          {"minimumLearningRate", optimizer.minimum_learning_rate},
          {"warmupSteps", optimizer.warmup_steps},
          {"beta1", optimizer.beta1},
          {"beta2", optimizer.beta2},
          {"epsilon", optimizer.epsilon},
          {"weightDecay", optimizer.weight_decay},
          {"clipNorm", optimizer.clip_norm}};
}

}  // namespace

nn::ModelSpec spec_of(const Job& job) {
  return nn::model_spec(job.model, job.training.precision, job.parallelism.recompute,
                        job.training.context);
}

double learning_rate(const Optimizer& optimizer, std::uint64_t step, std::uint64_t steps) {
  const double peak = optimizer.learning_rate;
  const auto warmup = static_cast<double>(optimizer.warmup_steps);
  const auto now = static_cast<double>(step);
  if (step <= optimizer.warmup_steps) return peak * now / warmup;
  if (step >= steps) return optimizer.minimum_learning_rate;
  const double progress = (now - warmup) / (static_cast<double>(steps) - warmup);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return optimizer.minimum_learning_rate + (peak - optimizer.minimum_learning_rate) * cosine;
}

Result<Job> parse_job(std::string_view yaml, const std::string& file) {
  ATOLL_ASSIGN(const Document document, parse_document(yaml, file));
  ATOLL_ASSIGN(Job job, job_from(document));
  job.topology =
      (std::filesystem::path(file).parent_path() / job.topology).lexically_normal().string();
  return job;
}

Status check_data(const Job& job) {
  if (job.serves) return {};  // it has none
  std::error_code failure;
  if (std::filesystem::is_directory(job.data.path, failure)) return {};
  return Error{Code::kData, job.data.path,
               "there is no such folder; spec.data.path is relative to the working directory; make "
               "the folder "
               "with: atoll data prepare"};
}

namespace {

/// What a descriptor's reader fills in, a user does not.
Status check_as_written(const Job& job, const Document& document) {
  const auto no = [&](const char* group) {
    return complaint(document, Code::kJobValue, std::string("/spec/") + group + "/vocabulary",
                     "is filled in by the command that reads this; leave it out");
  };
  if (job.distillation && !job.distillation->vocabulary.empty()) return no("distillation");
  if (job.serves && !job.serves->vocabulary.empty()) return no("serves");
  if (job.serves && job.model_from.empty()) {
    return complaint(document, Code::kJobValue, "/spec/model/from",
                     "is missing; a teacher needs a trained model: name its folder");
  }
  return {};
}

}  // namespace

Result<Job> read_job_without_data(const std::string& path) {
  ATOLL_ASSIGN(Document document, read_document(path));
  ATOLL_TRY(complete_model(document));
  ATOLL_ASSIGN(Job job, job_from(document));
  if (job.island) {
    return complaint(document, Code::kJobValue, "/spec/datacenters/island",
                     "is the scheduler's to say; leave it out");
  }
  ATOLL_TRY(check_as_written(job, document));
  job.topology =
      (std::filesystem::path(path).parent_path() / job.topology).lexically_normal().string();
  return job;
}

Status check_trains(const Job& job) {
  if (!job.serves) return {};
  return Error{Code::kUsage, job.name,
               "is a TeacherService, which trains nothing; see it with 'atoll plan', run it with "
               "'atoll run'"};
}

Result<Job> read_job(const std::string& path) {
  ATOLL_ASSIGN(Job job, read_job_without_data(path));
  ATOLL_TRY(check_data(job));
  return job;
}

Result<Job> job_from_json(const std::string& json) {
  ATOLL_ASSIGN(const Document document, parse_json_document(json, "job descriptor"));
  return job_from(document);
}

std::string job_to_json(const Job& job) {
  Json model = nn::config_to_json(job.model);
  if (!job.model_from.empty()) model["from"] = job.model_from;
  if (job.serves) return teacher_to_json(job, std::move(model));
  Json spec = {
      {"topology", job.topology},
      {"model", std::move(model)},
      {"data",
       {{"path", job.data.path}, {"prefetch", job.data.prefetch}, {"workers", job.data.workers}}},
      {"optimizer", optimizer_to(job.optimizer)},
      {"training",
       {{"steps", job.training.steps},
        {"seed", job.training.seed},
        {"leaves", job.training.leaves},
        {"sequencesPerLeaf", job.training.sequences_per_leaf},
        {"context", job.training.context},
        {"precision", nn::name_of(job.training.precision)}}},
      {"evaluation", {{"every", job.evaluation.every}, {"rounds", job.evaluation.rounds}}},
      {"checkpoints",
       {{"every", job.checkpoints.every},
        {"keep", job.checkpoints.keep},
        {"resume", job.checkpoints.resume}}},
      {"parallelism", parallelism_to(job.parallelism)},
      {"peerTimeout", duration_text(job.peer_timeout)}};
  if (!job.automatic) {
    spec["codecs"] = {{"activations", job.codecs.activations},
                      {"gradients", job.codecs.gradients},
                      {"weights", job.codecs.weights}};
  }
  if (job.local_steps || job.automatic) spec["datacenters"] = datacenters_to(job);
  if (job.distillation) spec["distillation"] = distillation_to(*job.distillation);
  return document_of("TrainingJob", job, std::move(spec));
}

}  // namespace reef::job
