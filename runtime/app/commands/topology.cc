#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "ops/cpu/thread_pool.h"
#include "ops/tune/processor.h"
#include "ops/tune/tuner.h"
#include "runtime/app/bench/gpt.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/commands/host_name.h"
#include "runtime/app/measured.h"
#include "runtime/base/file.h"
#include "runtime/base/units.h"
#include "runtime/machine/gpu.h"
#include "runtime/machine/machine.h"
#include "scheduler/job/job.h"

namespace reef::app {
namespace {

using Json = nlohmann::ordered_json;

struct MeasureOptions {
  std::string job, out;
  std::vector<std::uint32_t> threads;  ///< empty: one, and all cores
  bool json = false;
};

struct Found {
  machine::Machine machine;
  machine::Gpus gpus;
  machine::Profiles profiles;
  std::string kept;  ///< file; empty: nowhere
};

/// A host's name as a topology takes it: at most 63 of a-z, 0-9 and -.
std::string node_name() {
  std::string name = host_name();
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) c = '-';
  }
  return name.substr(0, 63);
}

Result<machine::Profiles> profile(const MeasureOptions& options, std::uint32_t cores) {
  nn::ModelConfig model = bench_gpt();
  std::int64_t sequences = kBenchBatch, length = kBenchContext;
  if (!options.job.empty()) {
    ATOLL_ASSIGN(const auto job, job::read_job_without_data(options.job));
    ATOLL_TRY(job::check_trains(job));
    model = job.model;
    sequences = job.training.sequences_per_leaf;
    length = job.training.context;
  }
  std::vector<std::uint32_t> counts = options.threads;
  if (counts.empty()) counts = {1, cores};
  ops::tune::Tuner tuner(ops::tune::default_cache_path());
  const ops::tune::Tuning tuning(tuner);
  machine::Profiles profiles;
  for (const std::uint32_t threads : counts) {
    if (profiles.contains(threads)) continue;
    std::cerr << fmt::format("measuring with {} thread{}\n", threads, threads == 1 ? "" : "s");
    ops::ThreadPool context(threads);
    profiles[threads] = measure_profile(context, model, sequences, length);
  }
  tuner.save();
  return profiles;
}

/// A machine that HWLOC_SYNTHETIC makes up is described, not measured.
Result<Found> look(const MeasureOptions& options) {
  Found found;
  ATOLL_ASSIGN(found.machine, machine::discover());
  found.gpus = machine::discover_gpus();
  if (!found.machine.real) return found;
  ATOLL_ASSIGN(found.profiles, profile(options, found.machine.cores));
  const machine::ProfileFile file(machine::default_profile_path());
  if (file.path().empty()) return found;
  ATOLL_TRY(file.keep(ops::tune::processor_text(), found.profiles));
  found.kept = file.path().string();
  return found;
}

/// As it stands under `nodes:` of a topology.
std::string node_entry(const Found& found) {
  // What the system and others need stays theirs; a person knows better than a fraction.
  const std::uint64_t mebibytes = found.machine.memory / 4 * 3 >> 20;
  std::string text = fmt::format("{{name: {}, memory: {}MiB", node_name(), mebibytes);
  if (found.profiles.empty())
    return text + fmt::format(", threads: {}}}", std::max(1u, found.machine.cores));
  const auto& [threads, profile] = *found.profiles.rbegin();
  return text + fmt::format(", threads: {}, speed: {}, bandwidth: {}}}", threads,
                            format_speed(profile.fp32.block), format_bandwidth(profile.bandwidth));
}

/// The same of a node that computes on the index-th GPU, which nobody has timed.
std::string gpu_entry(const machine::Gpu& gpu, std::size_t index) {
  const std::uint64_t mebibytes = gpu.memory / 10 * 9 >> 20;  // the driver's own part stays free
  return fmt::format("{{name: {}-gpu-{}, memory: {}MiB, device: cuda:{}, speed: SPEED}}",
                     node_name().substr(0, 50), index, mebibytes, index);
}

Json json_of(const machine::Rates& rates) {
  return {{"products", rates.products}, {"attention", rates.attention}, {"block", rates.block}};
}

Json json_of(const Found& found) {
  const machine::Machine& machine = found.machine;
  Json json;
  json["processor"] = ops::tune::processor_text();
  json["real"] = machine.real;
  json["packages"] = machine.packages;
  json["cores"] = machine.cores;
  json["threads"] = machine.threads;
  json["memory"] = machine.memory;
  json["caches"] = Json::array();
  for (const auto& cache : machine.caches)
    json["caches"].push_back(
        {{"level", cache.level}, {"bytes", cache.bytes}, {"count", cache.count}});
  json["numa"] = Json::array();
  for (const auto& node : machine.numa)
    json["numa"].push_back({{"index", node.index}, {"memory", node.memory}, {"cores", node.cores}});
  json["gpus"] = Json::array();
  for (std::size_t i = 0; i < found.gpus.found.size(); ++i) {
    const machine::Gpu& gpu = found.gpus.found[i];
    json["gpus"].push_back(
        {{"name", gpu.name}, {"memory", gpu.memory}, {"node", gpu_entry(gpu, i)}});
  }
  if (found.gpus.found.empty()) json["no_gpu_because"] = found.gpus.none_because;
  json["profiles"] = Json::array();
  for (const auto& [threads, profile] : found.profiles) {
    json["profiles"].push_back({{"threads", threads},
                                {"block", profile.block},
                                {"fp32", json_of(profile.fp32)},
                                {"bf16", json_of(profile.bf16)},
                                {"bandwidth", profile.bandwidth}});
  }
  json["kept"] = found.kept;
  json["node"] = node_entry(found);
  return json;
}

void print_rates(std::uint32_t threads, const char* precision, const machine::Rates& rates) {
  std::cout << fmt::format("{:>7}  {:<9}  {:>13}  {:>13}  {:>13}\n", threads, precision,
                           format_speed(rates.products), format_speed(rates.attention),
                           format_speed(rates.block));
}

void print(const Found& found) {
  const machine::Machine& machine = found.machine;
  std::cout << "processor     " << ops::tune::processor_text() << '\n'
            << "machine       " << text_of(machine)
            << (machine.real ? "" : " (HWLOC_SYNTHETIC: not this machine, so not measured)")
            << '\n';
  for (const auto& cache : machine.caches) {
    std::cout << fmt::format("cache         L{}: {} of {}\n", cache.level, cache.count,
                             format_size(cache.bytes));
  }
  for (const auto& node : machine.numa) {
    std::cout << fmt::format("numa          node {}: {} cores, {}\n", node.index, node.cores,
                             format_size(node.memory));
  }
  for (const auto& gpu : found.gpus.found)
    std::cout << fmt::format("gpu           {}, {}\n", gpu.name, format_size(gpu.memory));
  if (found.gpus.found.empty())
    std::cout << "gpu           none: " << found.gpus.none_because << '\n';
  if (!found.profiles.empty()) {
    std::cout << fmt::format("block         {}\n\n{:>7}  {:<9}  {:>13}  {:>13}  {:>13}\n",
                             found.profiles.begin()->second.block, "threads", "precision",
                             "products", "attention", "block");
  }
  for (const auto& [threads, profile] : found.profiles) {
    print_rates(threads, "fp32", profile.fp32);
    print_rates(threads, "bf16", profile.bf16);
    std::cout << fmt::format("{:>7}  memory {}\n", threads, format_bandwidth(profile.bandwidth));
  }
  if (!found.kept.empty()) {
    std::cout << "\nkept in " << found.kept
              << ",\nfor nodes on this machine whose topology states no speed\n";
  }
  std::cout << "\nin a topology, under nodes:\n        - " << node_entry(found) << '\n';
  for (std::size_t i = 0; i < found.gpus.found.size(); ++i)
    std::cout << "        - " << gpu_entry(found.gpus.found[i], i) << '\n';
  if (!found.gpus.found.empty()) {
    std::cout << "GPUs are not timed: put what yours computes, such as 20TFLOP/s, for SPEED\n";
  }
}

Result<int> measure(const MeasureOptions& options) {
  ATOLL_ASSIGN(const Found found, look(options));
  const std::string json = json_of(found).dump(2) + "\n";
  if (!options.out.empty()) ATOLL_TRY(write_file(options.out, as_bytes(json)));
  if (options.json) {
    std::cout << json;
  } else {
    print(found);
  }
  return 0;
}

}  // namespace

void add_topology(CLI::App& app, Action& action) {
  CLI::App* topology = app.add_subcommand("topology", "What machines are and how fast they are");
  topology->require_subcommand(1);
  add_topology_lines(*topology, action);
  auto options = std::make_shared<MeasureOptions>();
  CLI::App* command = topology->add_subcommand(
      "measure",
      "Look at this machine (hwloc, NVML), time a model's block on it, keep the figures for plans\n"
      "and print the node's entry for a topology");
  command->add_option(
      "--job", options->job,
      "Job descriptor (YAML) whose block to time; default: the one of 'bench step'");
  command
      ->add_option("--threads", options->threads,
                   "Counts of compute threads to time; default: 1 and all cores")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  command->add_option("--out", options->out, "Write all figures to this file, as JSON");
  command->add_flag("--json", options->json, "Print all figures as JSON");
  command->callback([options, &action] { action = [options] { return measure(*options); }; });
}

}  // namespace reef::app
