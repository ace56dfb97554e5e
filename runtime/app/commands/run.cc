#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/huggingface_export.h"
#include "actors/data/data_loader.h"
#include "actors/data/format/tokenizer.h"
#include "ops/nn/needs.h"
#include "runtime/app/client.h"
#include "runtime/app/cluster.h"
#include "runtime/app/commands/address.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/measured.h"
#include "runtime/app/model_folder.h"
#include "runtime/app/progress_line.h"
#include "runtime/base/file.h"
#include "runtime/base/units.h"
#include "runtime/device/open.h"
#include "scheduler/plan/make_plan.h"
#include "scheduler/plan/print.h"
#include "security/crypto/process.h"

namespace reef::app {
namespace {

namespace fs = std::filesystem;

/// Raised by Ctrl-C: once asks for a clean stop, twice ends at once.
std::atomic<int> interrupts{0};
void on_interrupt(int) { ++interrupts; }

struct RunOptions {
  std::string job;
  std::string run_folder;
  std::string scheduler, identity;  ///< of a cluster that runs already; else an embedded one
  std::string plugins = device::default_plugins();
  std::uint16_t port = 0;
  bool json = false;
  bool quiet = false;
};

/// What the run amounts to; printed and written as summary.json.
struct Summary {
  std::string status = "failed";
  std::uint64_t steps = 0;
  std::optional<double> loss_first, loss_last, validation_loss;
  std::uint64_t tokens = 0;
  Time first_progress{}, last_progress{};
  Time started = system_clock().now();
  node::Traffic traffic;
  std::string checkpoint;
  std::string paced;  ///< whose times are those of a played device; see plan::paced_text()
  std::optional<Error> error;
};

nlohmann::ordered_json to_json(const Summary& summary, const std::string& run_folder) {
  const auto number = [](const std::optional<double>& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  const double training = seconds(summary.last_progress - summary.first_progress);
  nlohmann::ordered_json json;
  json["status"] = summary.status;
  json["steps"] = summary.steps;
  json["loss_first"] = number(summary.loss_first);
  json["loss_last"] = number(summary.loss_last);
  json["val_loss"] = number(summary.validation_loss);
  json["tokens_per_second"] = training > 0 ? static_cast<double>(summary.tokens) / training : 0.0;
  json["seconds"] = seconds(system_clock().now() - summary.started);
  json["wire_bytes"] = summary.traffic.wire_bytes;
  json["payload_bytes"] = summary.traffic.payload_bytes;
  json["run_dir"] = run_folder;
  json["checkpoint"] = summary.checkpoint;
  if (!summary.paced.empty()) json["paced"] = summary.paced;
  if (summary.error) json["error"] = summary.error->text();
  return json;
}

std::string default_run_folder(const std::string& job) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
  return fmt::format("runs/{}-{}-{}", job, stamp, ::getpid());
}

/// What can be wrong with the input is found here, before a process is started or a folder made.
Result<plan::Plan> check_input(const job::Job& job, const topology::Topology& topology) {
  ATOLL_ASSIGN(auto plan, plan::make_plan(job, topology));
  ATOLL_TRY(actors::check_data(job));
  if (!job.checkpoints.resume.empty()) {
    ATOLL_ASSIGN(const auto checkpoint, checkpoint::Checkpoint::open(job.checkpoints.resume));
    if (checkpoint.step() >= job.training.steps) {
      return Error{Code::kJobValue, "spec.training.steps",
                   fmt::format("the checkpoint stands at step {} already; ask for more than that",
                               checkpoint.step())};
    }
  }
  return plan;
}

/// On this machine, where the embedded cluster runs: what its nodes will compute on is there and
/// can do it. The nodes of another cluster see for themselves.
Status check_devices(const plan::Plan& plan, const job::Job& job, const std::string& plugins) {
  for (const plan::Node& node : plan.nodes) {
    const DeviceName& name = node.device.name;
    if (name.is_cpu()) continue;
    ATOLL_TRY(device::check_device(name, plugins));
    ATOLL_ASSIGN(const ops::Device device, ops::device_named(name.kind));
    ATOLL_TRY(nn::check_kernels(device, job::spec_of(job), plan.ranks > 1 || plan.context > 1));
  }
  return {};
}

Status make_run_folder(const fs::path& folder, const plan::Plan& plan) {
  std::error_code failure;
  if (fs::exists(folder) && !fs::is_empty(folder, failure)) {
    return Error{Code::kPath, folder.string(), "is not empty; give --run-dir a new folder"};
  }
  fs::create_directories(folder / "logs", failure);
  if (failure) return Error{Code::kPath, folder.string(), "cannot create: " + failure.message()};
  std::ostringstream text;
  plan::print_plan(plan, text);
  ATOLL_TRY(write_file(folder / "plan.txt", as_bytes(text.str())));
  ATOLL_TRY(write_file(folder / "plan.json", as_bytes(plan::plan_to_json(plan))));
  return write_file(folder / "job.json", as_bytes(plan.descriptor));
}

class Follower {
 public:
  Follower(const job::Job& job, Summary& summary, ProgressLine& line)
      : job_(job), summary_(summary), line_(line) {}

  /// True when the job has ended.
  bool take(const Event& event) {
    return std::visit([this](const auto& value) { return on(value); }, event);
  }

 private:
  bool on(const node::ProgressReport& report) {
    const Time now = system_clock().now();
    if (summary_.first_progress == Time{}) {
      summary_.first_progress = now;
    } else {
      summary_.tokens += report.progress.tokens;
    }
    if (report.progress.round.training()) {
      summary_.last_progress = now;
      if (!summary_.loss_first) summary_.loss_first = report.progress.loss;
      summary_.loss_last = report.progress.loss;
    }
    if (report.progress.evaluated) summary_.validation_loss = report.progress.evaluation_loss;
    summary_.steps = report.progress.round.step;
    line_.update(report);
    return false;
  }

  bool on(const node::CheckpointReport& report) {
    summary_.checkpoint = report.folder;
    line_.note(fmt::format("checkpoint of step {}: {}", report.step, report.folder));
    return false;
  }

  bool on(const node::FailureReport& report) {
    if (!summary_.error) summary_.error = report.error;
    return report.epoch == 0;  // refused before it had an epoch: nothing follows
  }

  bool on(const node::JobStatus& status) {
    const bool over =
        status.state == "succeeded" || status.state == "stopped" || status.state == "failed";
    if (!over) {
      if (status.state != state_) {
        line_.note("job " + job_.name + ": " + status.state +
                   (status.reason.empty() ? "" : ": " + status.reason));
      }
      state_ = status.state;
      return false;
    }
    summary_.status = status.state;
    summary_.traffic = status.traffic;
    return true;
  }

  bool on(const node::LineResult&) { return false; }  // nobody asked

  bool on(const Error& error) {
    if (!summary_.error) summary_.error = error;
    return true;
  }

  const job::Job& job_;
  Summary& summary_;
  ProgressLine& line_;
  std::string state_;  ///< last told
};

void follow(Client& client, Follower& follower, ProgressLine& line) {
  int seen = 0;
  while (true) {
    const auto event = client.next(std::chrono::milliseconds(100));
    if (event && follower.take(*event)) return;
    const int now = interrupts;
    if (now >= 2) return;
    if (now > seen) {
      line.note("stopping after the next step with a checkpoint; Ctrl-C again ends at once");
      client.cancel();
      seen = now;
    }
  }
}

/// The tokenizer of the job's data; empty for bytes. The run folder gets it, so that it is all that
/// is needed to use the checkpoints in it.
Result<std::string> tokenizer_text(const job::Job& job) {
  const auto file = tokenizer_of(job.data.path);
  if (!file) return std::string();
  return read_file(*file, data::kMaxTokenizerBytes);
}

/// The model in the form that other tools load.
Status export_model(Summary& summary, const fs::path& folder, const std::string& tokenizer) {
  if (summary.checkpoint.empty() || summary.status == "failed") return {};
  ATOLL_ASSIGN(const auto checkpoint, checkpoint::Checkpoint::open(summary.checkpoint));
  checkpoint::ExportOptions options;
  options.tokenizer = tokenizer;
  return checkpoint::export_folder(checkpoint, folder / "model", options);
}

/// Submits the job and follows it to its end.
void submit(Client& client, const job::Job& job, const fs::path& folder, Summary& summary,
            ProgressLine& line) {
  client.submit(job::job_to_json(job), folder.string());
  Follower follower(job, summary, line);
  follow(client, follower, line);
}

Status run_embedded(const RunOptions& options, const job::Job& job,
                    const topology::Topology& topology, const fs::path& folder, Summary& summary,
                    ProgressLine& line) {
  Cluster cluster(folder, topology, job.topology, options.plugins);
  if (const Status started = cluster.start(options.port); !started.ok()) {
    fs::remove_all(folder);  // nothing has run: leave nothing behind
    return started.error();
  }
  {
    ATOLL_ASSIGN(auto client, Client::connect(cluster.client(), "127.0.0.1", cluster.port()));
    std::string processes = fmt::format("run {}\nscheduler pid {}", folder.string(),
                                        cluster.processes().at("scheduler"));
    for (const topology::Node& node : topology.nodes) {
      processes += fmt::format(", {} pid {}", node.name, cluster.processes().at(node.name));
    }
    line.note(processes);
    submit(*client, job, folder, summary, line);
  }
  line.finish();
  cluster.stop(summary.error ? Duration::zero() : std::chrono::seconds(3));
  return {};
}

/// On the cluster of a scheduler that runs already; its nodes write into `folder`, so it must be
/// the same folder for them.
Status run_on(const RunOptions& options, const job::Job& job, const fs::path& folder,
              Summary& summary, ProgressLine& line) {
  auto joined = [&options]() -> Result<std::unique_ptr<Client>> {
    ATOLL_ASSIGN(const auto address, parse_address(options.scheduler, "--scheduler"));
    ATOLL_ASSIGN(const auto identity, node::load_identity(options.identity));
    return Client::connect(identity, address.first, address.second);
  }();
  if (!joined.ok()) {
    fs::remove_all(folder);
    return joined.error();
  }
  line.note(fmt::format("run {} on {}", folder.string(), options.scheduler));
  submit(**joined, job, folder, summary, line);
  line.finish();
  return {};
}

Result<int> run(const RunOptions& options) {
  if (options.scheduler.empty() != options.identity.empty())
    return Error{Code::kUsage, "--scheduler", "goes with --identity"};
  ATOLL_TRY(security::forbid_core_dumps());
  ATOLL_ASSIGN(const auto job, job::read_job(options.job));
  ATOLL_ASSIGN(const auto topology, read_measured_topology(job.topology, job.training.precision));
  ATOLL_ASSIGN(const auto plan, check_input(job, topology));
  if (options.scheduler.empty()) ATOLL_TRY(check_devices(plan, job, options.plugins));
  const fs::path folder =
      fs::absolute(options.run_folder.empty() ? default_run_folder(job.name) : options.run_folder)
          .lexically_normal();
  ATOLL_ASSIGN(const std::string tokenizer, tokenizer_text(job));
  ATOLL_TRY(make_run_folder(folder, plan));
  if (!tokenizer.empty()) {
    ATOLL_TRY(write_file(folder / data::kTokenizerName, as_bytes(tokenizer)));
  }

  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);

  Summary summary;
  ProgressLine line(job.training.steps, ::isatty(STDERR_FILENO) == 1, options.quiet);
  summary.paced = plan::paced_text(plan);
  if (!summary.paced.empty()) line.note("PACED " + summary.paced);
  if (options.scheduler.empty()) {
    ATOLL_TRY(run_embedded(options, job, topology, folder, summary, line));
  } else {
    ATOLL_TRY(run_on(options, job, folder, summary, line));
  }
  ATOLL_TRY(export_model(summary, folder, tokenizer));

  const auto json = to_json(summary, folder.string());
  ATOLL_TRY(write_file(folder / "summary.json", as_bytes(json.dump(2) + "\n")));
  if (options.json) {
    std::cout << json.dump() << std::endl;
  } else if (!summary.error) {
    std::cout << fmt::format(
        "{}: {} steps, loss {:.3f} -> {:.3f}, validation loss {:.3f} nats/token, {:.0f} tokens/s\n"
        "sent {} for {} of tensors; model for other tools: {}/model\n",
        summary.status, summary.steps, summary.loss_first.value_or(0),
        summary.loss_last.value_or(0), summary.validation_loss.value_or(0),
        json["tokens_per_second"].get<double>(), format_size(summary.traffic.wire_bytes),
        format_size(summary.traffic.payload_bytes), folder.string());
  }
  if (summary.status == "succeeded") return 0;
  if (summary.status == "stopped") return 130;  // as the shell says of Ctrl-C
  if (summary.error) return *summary.error;
  return Error{Code::kCancelled, job.name, "ended at once, without a final checkpoint"};
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand(
      "run",
      "Run a job, in an embedded cluster on this machine or on one that runs, and follow it");
  command->add_option("job", options->job, "Job descriptor (YAML)")->required();
  command->add_option("--run-dir", options->run_folder,
                      "Folder for metrics, logs, plan and checkpoints; default runs/<job>-<time>");
  command->add_option("--scheduler", options->scheduler,
                      "HOST:PORT of a cluster that runs; default an embedded one for this job");
  command->add_option("--identity", options->identity,
                      "Folder of a client of that cluster ('atoll enrol --role client')");
  command->add_option("--plugins", options->plugins,
                      "Folder with the plug-ins that nodes of the embedded cluster compute on, "
                      "libatoll_cuda.so for cuda");
  command->add_option("--port", options->port,
                      "Port of the scheduler on 127.0.0.1; default any free one");
  command->add_flag("--json", options->json,
                    "Print the summary as JSON on the last line of stdout");
  command->add_flag("--quiet", options->quiet, "No progress on stderr");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace reef::app
