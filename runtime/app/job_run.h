#pragma once
// One job as `atoll run` sees it: from its descriptor to a folder with all that came of it.

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "runtime/app/client.h"
#include "runtime/app/progress_line.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/plan.h"
#include "scheduler/topology/topology.h"

namespace reef::app {

/// A heading for the plan of an island; nothing above that of a job which has only one.
void print_datacenter(const plan::Plan& plan, std::ostream& out);

/// Thread: one. Order: read() -> make_folder() -> submit() -> poll() until it says true ->
/// finish().
class JobRun {
 public:
  /// Reads and plans. What can be wrong with the input is found here, before a process is started
  /// or a folder made. `lines`: what was measured since the topology was written.
  static Result<std::unique_ptr<JobRun>> read(const std::string& descriptor,
                                              const std::vector<topology::Line>& lines = {});

  const job::Job& job() const { return job_; }
  const topology::Topology& topology() const { return topology_; }
  const std::filesystem::path& folder() const { return folder_; }
  /// On this machine, where an embedded cluster runs: what its nodes will compute on, by plug-ins
  /// in this folder, is there and can do it. The nodes of another cluster see for themselves.
  Status check_devices(const std::string& plugins) const;

  /// Writes the plan, the job and the tokenizer there; it is new or empty.
  Status make_folder(const std::filesystem::path& folder);

  struct Shown {
    std::string label = {};  ///< in front of each line; empty for the only job
    bool quiet = false;
  };
  void submit(std::unique_ptr<Client> client, const Shown& shown);
  /// Waits for an event no longer than `wait`, and takes all that came. True once the job has
  /// ended.
  bool poll(Duration wait);
  /// Asks for a clean stop with a checkpoint; of a job that has not begun, for its withdrawal.
  void cancel();
  /// Of a teacher whom nobody will ask any more: the same, and that is its success.
  void release();
  bool teaches() const { return job_.serves.has_value(); }
  bool ended() const { return ended_; }
  /// Something has come of it: the scheduler knows the job.
  bool known() const { return known_; }
  bool failed() const { return error_.has_value() && !withdrawn(); }

  /// Writes the model in the form that other tools load, and summary.json.
  Status finish();
  nlohmann::ordered_json summary() const;
  /// Two lines for people, of a job that has not failed.
  std::string text() const;
  /// The exit status, or why there is none.
  Result<int> outcome() const;

 private:
  JobRun(job::Job job, topology::Topology topology, std::vector<plan::Plan> plans,
         std::string modes, std::string tokenizer);
  std::string paced() const;
  nlohmann::ordered_json served() const;
  std::string served_text() const;
  bool on(const node::ProgressReport& report);
  bool on(const node::CheckpointReport& report);
  bool on(const node::FailureReport& report);
  bool on(const node::JobStatus& status);
  bool on(const node::LineResult&) { return false; }  // nobody asked
  bool on(const Error& error);
  /// By the user, before it began.
  bool withdrawn() const { return cancelled_ && error_ && error_->code == Code::kCancelled; }
  double tokens_per_second() const;

  const job::Job job_;
  const topology::Topology topology_;
  const std::vector<plan::Plan> plans_;  ///< one, or one of each island
  const std::string modes_;              ///< of mode auto: what was weighed, for people
  const std::string tokenizer_;          ///< of the job's data; empty for bytes
  std::filesystem::path folder_;
  std::unique_ptr<Client> client_;
  std::optional<ProgressLine> line_;
  std::string waiting_;  ///< state and reason last told
  Time now_{};           ///< of the event that is being taken
  bool known_ = false;
  bool cancelled_ = false;
  bool released_ = false;
  bool ended_ = false;

  std::string status_ = "failed";
  std::uint64_t steps_ = 0;
  std::optional<double> loss_first_, loss_last_, validation_loss_;
  std::uint64_t tokens_ = 0;
  Time first_progress_{}, last_progress_{}, started_{}, over_{};
  node::Traffic traffic_;
  std::string checkpoint_;
  std::optional<Error> error_;
};

}  // namespace reef::app
