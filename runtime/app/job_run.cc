#include "runtime/app/job_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/huggingface.h"
#include "actors/checkpoint/format/huggingface_export.h"
#include "actors/data/data_loader.h"
#include "actors/data/format/sha256.h"
#include "actors/data/format/tokenizer.h"
#include "ops/nn/needs.h"
#include "runtime/app/measured.h"
#include "runtime/app/model_folder.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "runtime/device/open.h"
#include "scheduler/plan/islands.h"
#include "scheduler/plan/print.h"
#include "scheduler/plan/print_choice.h"
#include "scheduler/plan/print_json.h"

namespace reef::app {
namespace {

namespace fs = std::filesystem;

Status check_checkpoint(const job::Job& job) {
  if (job.checkpoints.resume.empty()) return {};
  ATOLL_ASSIGN(const auto checkpoint, checkpoint::Checkpoint::open(job.checkpoints.resume));
  const std::uint64_t step =
      job::step_at_pace(job, checkpoint.step(), checkpoint.description().pace);
  if (step < job.training.steps) return {};
  return Error{
      Code::kJobValue, "spec.training.steps",
      fmt::format("the checkpoint stands at step {} already; ask for more than that", step)};
}

bool is_island(const plan::Plan& plan) {
  return job::job_from_json(plan.descriptor)->local_steps.has_value();
}

/// What a teacher's node will read.
Status check_model(const job::Job& job) {
  const auto model = checkpoint::load_folder(job.model_from);
  return model.ok() ? Status() : Status(model.error());
}

/// The run folder gets it, so that it is all that is needed to use the checkpoints in it.
Result<std::string> tokenizer_text(const job::Job& job) {
  const auto file = tokenizer_of(job.serves ? job.model_from : job.data.path);
  if (!file) return std::string();
  return read_file(*file, data::kMaxTokenizerBytes);
}

}  // namespace

Result<std::unique_ptr<JobRun>> JobRun::read(const std::string& descriptor,
                                             const std::vector<topology::Line>& lines) {
  ATOLL_ASSIGN(auto job, job::read_job(descriptor));
  ATOLL_ASSIGN(auto topology, read_measured_topology(job.topology, job.training.precision));
  for (topology::Line& line : topology.lines) {
    for (const topology::Line& measured : lines) {
      if (line.from == measured.from && line.to == measured.to) line = measured;
    }
  }
  ATOLL_ASSIGN(auto tokenizer, tokenizer_text(job));
  const std::string vocabulary = tokenizer.empty() ? "" : data::sha256(as_bytes(tokenizer));
  if (job.serves) job.serves->vocabulary = vocabulary;
  if (job.distillation) job.distillation->vocabulary = vocabulary;
  ATOLL_ASSIGN(auto choices, plan::choose_plans(job, topology));
  std::ostringstream modes;
  plan::print_modes(choices.front(), topology.lines, modes);
  std::vector<plan::Plan> plans;
  for (plan::Choice& choice : choices) plans.push_back(std::move(choice.plan));
  ATOLL_TRY(job.serves ? check_model(job) : actors::check_data(job));
  for (const plan::Plan& plan : plans)
    ATOLL_TRY(check_checkpoint(job::job_from_json(plan.descriptor).value()));
  return std::unique_ptr<JobRun>(new JobRun(std::move(job), std::move(topology), std::move(plans),
                                            modes.str(), std::move(tokenizer)));
}

void print_datacenter(const plan::Plan& plan, std::ostream& out) {
  if (is_island(plan)) out << "\ndatacenter    " << plan.nodes.front().datacenter << '\n';
}

JobRun::JobRun(job::Job job, topology::Topology topology, std::vector<plan::Plan> plans,
               std::string modes, std::string tokenizer)
    : job_(std::move(job)),
      topology_(std::move(topology)),
      plans_(std::move(plans)),
      modes_(std::move(modes)),
      tokenizer_(std::move(tokenizer)) {}

Status JobRun::check_devices(const std::string& plugins) const {
  for (const plan::Plan& plan : plans_) {
    for (const plan::Node& node : plan.nodes) {
      const DeviceName& name = node.device.name;
      if (name.is_cpu()) continue;
      ATOLL_TRY(device::check_device(name, plugins));
      ATOLL_ASSIGN(const ops::Device device, ops::device_named(name.kind));
      ATOLL_TRY(nn::check_kernels(device, job::spec_of(job_), plan.ranks > 1 || plan.context > 1));
    }
  }
  return {};
}

Status JobRun::make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder / "logs", failure);
  if (failure) return Error{Code::kPath, folder.string(), "cannot create: " + failure.message()};
  folder_ = folder;
  std::ostringstream text;
  text << modes_;
  for (const plan::Plan& plan : plans_) {
    print_datacenter(plan, text);
    plan::print_plan(plan, text);
    const fs::path own = is_island(plan) ? folder / plan.nodes.front().datacenter : folder;
    fs::create_directories(own, failure);
    ATOLL_TRY(write_file(own / "plan.json", as_bytes(plan::plan_to_json(plan))));
    ATOLL_TRY(write_file(own / "job.json", as_bytes(plan.descriptor)));
  }
  ATOLL_TRY(write_file(folder / "plan.txt", as_bytes(text.str())));
  if (tokenizer_.empty()) return {};
  return write_file(folder / data::kTokenizerName, as_bytes(tokenizer_));
}

void JobRun::submit(std::unique_ptr<Client> client, const Shown& shown) {
  const bool redraws = shown.label.empty() && ::isatty(STDERR_FILENO) == 1;
  std::uint64_t steps = job_.training.steps;
  for (const plan::Plan& plan : plans_)
    steps = std::max(steps, job::job_from_json(plan.descriptor)->training.steps);
  line_.emplace(shown.label, steps, redraws, shown.quiet);
  if (!paced().empty()) line_->note("PACED " + paced());
  started_ = system_clock().now();
  client_ = std::move(client);
  client_->submit(job::job_to_json(job_), folder_.string());
}

bool JobRun::poll(Duration wait) {
  for (; !ended_; wait = Duration::zero()) {
    const auto arrived = client_->next(wait);
    if (!arrived) return false;
    known_ = true;
    now_ = arrived->at;
    ended_ = std::visit([this](const auto& value) { return on(value); }, arrived->event);
  }
  if (client_ == nullptr) return true;
  line_->finish();
  over_ = now_;
  client_.reset();
  return true;
}

void JobRun::cancel() {
  if (ended_) return;
  line_->note(teaches()
                  ? "stopping; Ctrl-C again ends at once"
                  : "stopping after the next step with a checkpoint; Ctrl-C again ends at once");
  cancelled_ = true;
  client_->cancel();
}

void JobRun::release() {
  if (ended_ || std::exchange(released_, true)) return;
  line_->note("nobody asks any more; stopping");
  cancelled_ = true;
  client_->cancel();
}

bool JobRun::on(const node::ProgressReport& report) {
  if (first_progress_ == Time{}) {
    first_progress_ = now_;
  } else {
    tokens_ += report.progress.tokens;
  }
  if (report.progress.round.training()) {
    last_progress_ = now_;
    if (!loss_first_) loss_first_ = report.progress.loss;
    loss_last_ = report.progress.loss;
  }
  if (report.progress.evaluated) validation_loss_ = report.progress.evaluation_loss;
  steps_ = std::max(steps_, report.progress.round.step);
  line_->update(report, now_);
  return false;
}

bool JobRun::on(const node::CheckpointReport& report) {
  checkpoint_ = report.folder;
  line_->note(fmt::format("checkpoint of step {}: {}", report.step, report.folder));
  return false;
}

bool JobRun::on(const node::FailureReport& report) {
  if (!error_) error_ = report.error;
  if (withdrawn()) status_ = "stopped";
  return report.epoch == 0;  // refused before it had an epoch: nothing follows
}

bool JobRun::on(const node::JobStatus& status) {
  const bool over =
      status.state == "succeeded" || status.state == "stopped" || status.state == "failed";
  if (!over) {
    const std::string told = status.state + (status.reason.empty() ? "" : ": " + status.reason);
    const bool news = status.state == "waiting" ? waiting_.empty() : told != waiting_;
    if (news) line_->note("job " + job_.name + ": " + told);
    waiting_ = told;
    return false;
  }
  status_ = released_ && status.state == "stopped" ? "succeeded" : status.state;
  traffic_ = status.traffic;
  if (!status.checkpoint.empty()) checkpoint_ = status.checkpoint;
  return true;
}

bool JobRun::on(const Error& error) {
  if (!error_) error_ = error;
  return true;
}

Status JobRun::finish() {
  if (!checkpoint_.empty() && status_ != "failed") {
    ATOLL_ASSIGN(const auto checkpoint, checkpoint::Checkpoint::open(checkpoint_));
    checkpoint::ExportOptions options;
    options.tokenizer = tokenizer_;
    ATOLL_TRY(checkpoint::export_folder(checkpoint, folder_ / "model", options));
  }
  return write_file(folder_ / "summary.json", as_bytes(summary().dump(2) + "\n"));
}

std::string JobRun::paced() const {
  std::vector<std::string> texts;
  for (const plan::Plan& plan : plans_) {
    if (auto text = plan::paced_text(plan); !text.empty()) texts.push_back(std::move(text));
  }
  return join(texts);
}

double JobRun::tokens_per_second() const {
  const double training = seconds(last_progress_ - first_progress_);
  return training > 0 ? static_cast<double>(tokens_) / training : 0;
}

/// The last that the teacher has written down; nothing, if nobody has asked or it was on another
/// machine.
nlohmann::ordered_json JobRun::served() const {
  constexpr std::streamoff kLongestLine = 1 << 20;
  std::ifstream file(folder_ / "metrics.jsonl", std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? std::streamoff{file.tellg()} : 0;
  std::string lines(static_cast<std::size_t>(std::min(size, kLongestLine)), '\0');
  file.seekg(size - static_cast<std::streamoff>(lines.size()));
  if (lines.empty() || !file.read(lines.data(), static_cast<std::streamsize>(lines.size())))
    return nlohmann::ordered_json::object();
  const std::size_t end = lines.find_last_not_of('\n') + 1;
  const std::size_t before = lines.rfind('\n', end - 1);
  const std::size_t first = before == std::string::npos ? 0 : before + 1;
  auto line = nlohmann::ordered_json::parse(lines.substr(first, end - first), nullptr, false);
  return line.is_object() ? line : nlohmann::ordered_json::object();
}

std::string JobRun::served_text() const {
  const auto line = served();
  if (line.empty())
    return status_ + ": nobody asked, or what was served stands in " +
           (folder_ / "metrics.jsonl").string() + " on the teacher's machine\n";
  const auto count = [&line](const char* name) { return line.value(name, std::uint64_t{0}); };
  std::string text =
      fmt::format("{}: answered {} positions in {} requests ({} from the cache, {} refused)\n",
                  status_, count("positions"), count("asks"), count("cached"), count("refused"));
  text += fmt::format("sent {} of answers, where fp32 logits were {}\n",
                      format_size(count("answer_bytes")), format_size(count("logits_bytes")));
  if (line.contains("epsilon")) {
    text += fmt::format("privacy spent: epsilon {:.4g} at delta {:.1g}, of {} positions let out\n",
                        line.value("epsilon", 0.0), line.value("delta", 0.0), count("released"));
  }
  return text;
}

nlohmann::ordered_json JobRun::summary() const {
  const auto number = [](const std::optional<double>& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json json;
  json["job"] = job_.name;
  json["status"] = status_;
  if (teaches()) {
    json["served"] = served();
  } else {
    json["steps"] = steps_;
    json["loss_first"] = number(loss_first_);
    json["loss_last"] = number(loss_last_);
    json["val_loss"] = number(validation_loss_);
    json["tokens_per_second"] = tokens_per_second();
  }
  json["seconds"] = seconds((ended_ ? over_ : system_clock().now()) - started_);
  json["wire_bytes"] = traffic_.wire_bytes;
  json["payload_bytes"] = traffic_.payload_bytes;
  json["run_dir"] = folder_.string();
  json["checkpoint"] = checkpoint_;
  if (!paced().empty()) json["paced"] = paced();
  if (error_) json["error"] = error_->text();
  return json;
}

std::string JobRun::text() const {
  if (withdrawn()) return "stopped before it began\n";
  if (teaches()) return served_text();
  return fmt::format(
      "{}: {} steps, loss {:.3f} -> {:.3f}, validation loss {:.3f} nats/token, {:.0f} tokens/s\n"
      "sent {} for {} of tensors; model for other tools: {}/model\n",
      status_, steps_, loss_first_.value_or(0), loss_last_.value_or(0),
      validation_loss_.value_or(0), tokens_per_second(), format_size(traffic_.wire_bytes),
      format_size(traffic_.payload_bytes), folder_.string());
}

Result<int> JobRun::outcome() const {
  if (status_ == "succeeded") return 0;
  if (status_ == "stopped") return 130;  // as the shell says of Ctrl-C
  if (error_) return *error_;
  return Error{Code::kCancelled, job_.name, "ended at once, without a final checkpoint"};
}

}  // namespace reef::app
