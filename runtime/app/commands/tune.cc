#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "ops/cpu/thread_pool.h"
#include "ops/tune/processor.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/job_search.h"
#include "runtime/app/job_trial.h"
#include "runtime/app/practice.h"
#include "scheduler/job/job.h"
#include "scheduler/topology/topology.h"

namespace reef::app {
namespace {

using ops::tune::Cache;
using ops::tune::Choices;

Result<Cache> default_cache() {
  const auto path = ops::tune::default_cache_path();
  if (!path.empty()) return Cache(path);
  return Error{Code::kPath, "ATOLL_CACHE", "is not set, and there is no home folder either"};
}

void print_choices(const Choices& choices) {
  for (const auto& [call, choice] : choices) {
    std::cout << fmt::format("{:>10.1f} us  {:<8} {}\n", 1e6 * choice.seconds, choice.kernel, call);
  }
}

Result<int> show(bool json) {
  ATOLL_ASSIGN(const Cache cache, default_cache());
  const std::string processor = ops::tune::processor_text();
  ATOLL_ASSIGN(const Choices choices, cache.read(processor));
  if (json) {
    nlohmann::ordered_json document;
    document["path"] = cache.path().string();
    document["processor"] = processor;
    document["choices"] = nlohmann::ordered_json::array();
    for (const auto& [call, choice] : choices) {
      document["choices"].push_back(
          {{"call", call}, {"kernel", choice.kernel}, {"seconds", choice.seconds}});
    }
    std::cout << document.dump(2) << '\n';
    return 0;
  }
  std::cout << fmt::format("{} choices for {} in {}\n", choices.size(), processor,
                           cache.path().string());
  print_choices(choices);
  return 0;
}

Result<int> clear() {
  ATOLL_ASSIGN(const Cache cache, default_cache());
  ATOLL_ASSIGN(const bool removed, cache.clear());
  std::cout << cache.path().string() << (removed ? " is removed\n" : ": there was none\n");
  return 0;
}

struct RunOptions {
  std::string job;
  std::size_t threads = 1;
};

/// Measures the calls of a job's micro-batch, or of the quickstart's model.
Result<int> measure(const RunOptions& options) {
  ATOLL_ASSIGN(const Cache cache, default_cache());
  job::Job job;
  if (!options.job.empty()) {
    ATOLL_ASSIGN(job, job::read_job(options.job));
    ATOLL_TRY(job::check_trains(job));
  }
  ops::tune::Tuner tuner(cache.path());
  const ops::tune::Tuning tuning(tuner);
  ops::ThreadPool context(options.threads);
  Practice practice(context, job.model, job.training.precision, job.training.sequences_per_leaf,
                    job.training.context);
  const int steps = practise(practice, tuner);
  tuner.save();
  Choices choices;
  for (const auto& decision : tuner.decisions()) choices[decision.call] = decision.choice;
  std::cout << fmt::format("{} choices after {} steps on {} threads, in {}\n", choices.size(),
                           steps, options.threads, cache.path().string());
  print_choices(choices);
  return 0;
}

/// Proposes the sizes that are found by trial.
Result<int> propose(const RunOptions& options) {
  ATOLL_ASSIGN(const auto job, job::read_job(options.job));
  ATOLL_TRY(job::check_trains(job));
  ATOLL_ASSIGN(const auto topology, topology::read_topology(job.topology));
  ops::tune::Tuner tuner(ops::tune::default_cache_path());
  const ops::tune::Tuning tuning(tuner);
  const auto processors = std::max(1u, std::thread::hardware_concurrency());
  ATOLL_ASSIGN(const Proposal proposal,
               search(job, topology, processors, [&options](const job::Job& tried) {
                 return time_step(tried, options.threads);
               }));
  std::cout << fmt::format(
                   "{}: a replica's step on {} threads here, the whole model in one process",
                   job.name, options.threads)
            << "\n\n"
            << text_of(proposal);
  if (proposal.job.training.leaves != job.training.leaves) {
    std::cout << "other leaves give other bits than runs before\n";
  }
  return 0;
}

void add_show(CLI::App& tune, Action& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = tune.add_subcommand("show", "Print what was measured on this processor");
  command->add_flag("--json", *json, "Print it as JSON");
  command->callback([json, &action] { action = [json] { return show(*json); }; });
}

void add_clear(CLI::App& tune, Action& action) {
  CLI::App* command = tune.add_subcommand("clear", "Forget all measurements, so that runs measure");
  command->callback([&action] { action = [] { return clear(); }; });
}

void add_measure(CLI::App& tune, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = tune.add_subcommand("run", "Measure the kernels of a model's step now");
  command->add_option("job", options->job,
                      "Job descriptor (YAML); default: the quickstart's model");
  command->add_option("--threads", options->threads, "Compute threads, as the nodes will have")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->callback([options, &action] { action = [options] { return measure(*options); }; });
}

void add_propose(CLI::App& tune, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = tune.add_subcommand(
      "job", "Propose micro-batch size, prefetch and loader threads of a job, by short trials");
  command->add_option("job", options->job, "Job descriptor (YAML)")->required();
  command->add_option("--threads", options->threads, "Compute threads, as the nodes will have")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->callback([options, &action] { action = [options] { return propose(*options); }; });
}

}  // namespace

void add_tune(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("tune", "What was measured to choose among kernels, and where it is kept");
  command->require_subcommand(1);
  add_show(*command, action);
  add_clear(*command, action);
  add_measure(*command, action);
  add_propose(*command, action);
}

}  // namespace reef::app
