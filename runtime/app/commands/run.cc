#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <iostream>
#include <optional>
#include <set>

#include "runtime/app/client.h"
#include "runtime/app/cluster.h"
#include "runtime/app/commands/address.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/job_run.h"
#include "runtime/app/line_survey.h"
#include "runtime/device/open.h"
#include "security/crypto/process.h"

namespace reef::app {
namespace {

namespace fs = std::filesystem;

constexpr Duration kPollEvery = std::chrono::milliseconds(100);

/// Raised by Ctrl-C: once asks for a clean stop, twice ends at once.
std::atomic<int> interrupts{0};
void on_interrupt(int) { ++interrupts; }

struct RunOptions {
  std::vector<std::string> jobs;
  std::string run_folder;
  std::string scheduler, identity;  ///< of a cluster that runs already; else an embedded one
  std::string plugins = device::default_plugins();
  std::uint16_t port = 0;
  bool json = false;
  bool quiet = false;
};

using Jobs = std::vector<std::unique_ptr<JobRun>>;

std::string default_run_folder(const Jobs& jobs) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
  std::string names;
  for (const auto& job : jobs) names += job->job().name + '-';
  return fmt::format("runs/{}{}-{}", names, stamp, ::getpid());
}

/// Several jobs of one embedded cluster need one topology, and names for their folders.
Status check_together(const Jobs& jobs, bool embedded) {
  std::set<std::string> names{"logs", "identities"};  // folders of the cluster
  if (jobs.size() == 1) return {};
  for (const auto& one : jobs) {
    const job::Job &job = one->job(), &first = jobs.front()->job();
    if (!names.insert(job.name).second) {
      return Error{Code::kUsage, "job " + job.name,
                   "cannot have a folder of this name; give each job a metadata.name of its own"};
    }
    std::error_code failure;
    if (embedded && !fs::equivalent(job.topology, first.topology, failure)) {
      return Error{Code::kUsage, "job " + job.name,
                   "has topology " + job.topology + ", job " + first.name + " has " +
                       first.topology + "; an embedded cluster is of one"};
    }
  }
  return {};
}

Result<Jobs> read_jobs(const RunOptions& options) {
  Jobs jobs;
  for (const std::string& descriptor : options.jobs) {
    auto read = JobRun::read(descriptor);
    if (!read.ok() && options.jobs.size() > 1 && !read.error().where.starts_with(descriptor)) {
      const Error& why = read.error();
      return Error{why.code, descriptor + ": " + why.where, why.what};
    }
    ATOLL_ASSIGN(auto job, std::move(read));
    if (options.scheduler.empty()) ATOLL_TRY(job->check_devices(options.plugins));
    jobs.push_back(std::move(job));
  }
  ATOLL_TRY(check_together(jobs, options.scheduler.empty()));
  return jobs;
}

/// The only job's is the run's; several have one each in it.
Status make_folders(const Jobs& jobs, const fs::path& folder) {
  std::error_code failure;
  if (fs::exists(folder, failure) && !fs::is_empty(folder, failure))
    return Error{Code::kPath, folder.string(), "is not empty; give --run-dir a new folder"};
  if (jobs.size() == 1) return jobs.front()->make_folder(folder);
  for (const auto& job : jobs) ATOLL_TRY(job->make_folder(folder / job->job().name));
  fs::create_directories(folder / "logs", failure);
  if (failure) return Error{Code::kPath, folder.string(), "cannot create: " + failure.message()};
  return {};
}

/// Those that were run for the sake of students of this run; alone they serve whoever comes.
void release_teachers(const Jobs& jobs) {
  bool students = false;
  for (const auto& job : jobs) {
    if (!job->teaches() && !job->ended()) return;
    students = students || !job->teaches();
  }
  for (const auto& job : jobs) {
    if (students && job->teaches()) job->release();
  }
}

/// To the end of all of them, or a second Ctrl-C.
void follow(const Jobs& jobs) {
  const auto share = kPollEvery / static_cast<int>(jobs.size());
  int seen = 0;
  while (!std::ranges::all_of(jobs, [](const auto& job) { return job->ended(); })) {
    for (const auto& job : jobs) job->poll(share);
    release_teachers(jobs);
    const int now = interrupts;
    if (now >= 2) return;
    if (now > seen) {
      for (const auto& job : jobs) job->cancel();
      seen = now;
    }
  }
}

/// Submits all, each by a client of its own and once the one before it is known, since the first
/// has the nodes first; then follows them.
template <typename Connect>
Status submit(const Jobs& jobs, const RunOptions& options, Connect&& connect) {
  std::vector<std::unique_ptr<Client>> clients;
  while (clients.size() < jobs.size()) {
    ATOLL_ASSIGN(auto client, connect());
    clients.push_back(std::move(client));
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    jobs[i]->submit(std::move(clients[i]),
                    {.label = jobs.size() == 1 ? "" : jobs[i]->job().name, .quiet = options.quiet});
    while (!jobs[i]->known() && interrupts == 0) {
      for (std::size_t k = 0; k <= i; ++k) jobs[k]->poll(kPollEvery / static_cast<int>(i + 1));
    }
  }
  follow(jobs);
  return {};
}

/// A cluster that runs already, and who we are there.
struct Site {
  std::string host;
  std::uint16_t port = 0;
  node::Identity identity;
};

/// Jobs whose datacenters' mode the planner chooses are planned again, here as by the scheduler, by
/// what the lines between these give now. An embedded cluster has no such lines: there the
/// topology's word counts.
Status plan_by_lines(Jobs& jobs, const RunOptions& options, const Site& site) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const job::Job& job = jobs[i]->job();
    if (!job.automatic) continue;
    if (!options.quiet)
      std::cerr << "measuring the lines between the datacenters of job " << job.name << std::endl;
    ATOLL_ASSIGN(const auto client, Client::connect(site.identity, site.host, site.port));
    ATOLL_ASSIGN(const auto topology, topology::within(jobs[i]->topology(), job.datacenters));
    ATOLL_ASSIGN(const auto lines, survey(*client, topology));
    ATOLL_ASSIGN(jobs[i], JobRun::read(options.jobs[i], lines));
  }
  return {};
}

Status run_embedded(const RunOptions& options, const Jobs& jobs, const fs::path& folder) {
  const JobRun& first = *jobs.front();
  Cluster cluster(folder, first.topology(), first.job().topology, options.plugins);
  if (const Status started = cluster.start(options.port); !started.ok()) {
    fs::remove_all(folder);  // nothing has run: leave nothing behind
    return started.error();
  }
  if (!options.quiet) {
    std::string processes = fmt::format("run {}\nscheduler pid {}", folder.string(),
                                        cluster.processes().at("scheduler"));
    for (const topology::Node& node : first.topology().nodes)
      processes += fmt::format(", {} pid {}", node.name, cluster.processes().at(node.name));
    std::cerr << processes << std::endl;
  }
  ATOLL_TRY(submit(jobs, options, [&cluster] {
    return Client::connect(cluster.client(), "127.0.0.1", cluster.port());
  }));
  const bool failed = std::ranges::any_of(jobs, [](const auto& job) { return job->failed(); });
  cluster.stop(failed ? Duration::zero() : std::chrono::seconds(3));
  return {};
}

Result<std::optional<Site>> find_site(const RunOptions& options) {
  if (options.scheduler.empty()) return std::optional<Site>();
  ATOLL_ASSIGN(const auto address, parse_address(options.scheduler, "--scheduler"));
  ATOLL_ASSIGN(auto identity, node::load_identity(options.identity));
  return std::optional<Site>(Site{address.first, address.second, std::move(identity)});
}

/// Its nodes write into `folder`, so it must be the same folder for them.
Status run_on(const Site& site, const RunOptions& options, const Jobs& jobs,
              const fs::path& folder) {
  if (!options.quiet)
    std::cerr << fmt::format("run {} on {}", folder.string(), options.scheduler) << std::endl;
  return submit(jobs, options,
                [&] { return Client::connect(site.identity, site.host, site.port); });
}

/// The first error, else the first that did not succeed.
Result<int> worst(const Jobs& jobs) {
  int status = 0;
  for (const auto& job : jobs) {
    ATOLL_ASSIGN(const int one, job->outcome());
    if (status == 0) status = one;
  }
  return status;
}

/// Of all jobs, whatever came of the others.
Status finish(const Jobs& jobs, bool as_json) {
  Status first;
  for (const auto& job : jobs) {
    const Status finished = job->finish();
    if (first.ok()) first = finished;
    const std::string name = jobs.size() == 1 ? "" : job->job().name + ": ";
    if (as_json) {
      std::cout << job->summary().dump() << std::endl;
    } else if (job->failed() && jobs.size() > 1) {
      std::cerr << name << job->outcome().error().text() << std::endl;
    } else if (!job->failed()) {
      std::cout << name << job->text() << std::flush;
    }
  }
  return first;
}

Result<int> run(const RunOptions& options) {
  if (options.scheduler.empty() != options.identity.empty())
    return Error{Code::kUsage, "--scheduler", "goes with --identity"};
  ATOLL_TRY(security::forbid_core_dumps());
  ATOLL_ASSIGN(Jobs jobs, read_jobs(options));
  ATOLL_ASSIGN(const auto site, find_site(options));
  if (site) ATOLL_TRY(plan_by_lines(jobs, options, *site));
  const fs::path folder =
      fs::absolute(options.run_folder.empty() ? default_run_folder(jobs) : options.run_folder)
          .lexically_normal();
  ATOLL_TRY(make_folders(jobs, folder));

  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);

  if (!site) {
    ATOLL_TRY(run_embedded(options, jobs, folder));
  } else if (const Status ran = run_on(*site, options, jobs, folder); !ran.ok()) {
    fs::remove_all(folder);  // nothing has run: leave nothing behind
    return ran.error();
  }
  ATOLL_TRY(finish(jobs, options.json));
  return worst(jobs);
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run",
                                         "Run jobs and teachers, in an embedded cluster on this "
                                         "machine or on one that runs, and follow them");
  command->add_option("job", options->jobs, "Job descriptors (YAML)")->required();
  command->add_option(
      "--run-dir", options->run_folder,
      "Folder for metrics, logs, plan and checkpoints; of several jobs a folder in it for each; "
      "default runs/<job>-<time>");
  command->add_option("--scheduler", options->scheduler,
                      "HOST:PORT of a cluster that runs; default an embedded one for this run");
  command->add_option("--identity", options->identity,
                      "Folder of a client of that cluster ('atoll enrol --role client')");
  command->add_option("--plugins", options->plugins,
                      "Folder with the plug-ins that nodes of the embedded cluster compute on, "
                      "libatoll_cuda.so for cuda");
  command->add_option("--port", options->port,
                      "Port of the scheduler on 127.0.0.1; default any free one");
  command->add_flag("--json", options->json,
                    "Print a summary of each job as a line of JSON at the end of stdout");
  command->add_flag("--quiet", options->quiet, "No progress on stderr");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace reef::app
