// What actors, registers and the firing rule cost: a job's training steps through the runtime on
// one node, against a bare loop that launches the same kernels.

#include <stdlib.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <filesystem>
#include <future>
#include <mutex>
#include <optional>

#include "actors/core/crew.h"
#include "actors/data/batch_reader.h"
#include "actors/data/format/prepare.h"
#include "ops/nn/trainer.h"
#include "runtime/app/bench/bench.h"
#include "runtime/app/bench/gpt.h"
#include "runtime/base/file.h"
#include "runtime/base/random.h"
#include "runtime/device/cpu.h"
#include "scheduler/plan/make_plan.h"

namespace reef::app {

namespace {

constexpr double kTarget = 1.02;
constexpr std::uint64_t kWarmup = 2;  ///< steps at the start of a run that are not timed
constexpr std::uint64_t kTimed = 5;   ///< steps of a run that are
constexpr std::uint64_t kChapters = 256;
constexpr std::uint64_t kChapterBytes = 4096;

struct RuntimeOptions {
  std::uint32_t threads = 1;
  std::uint32_t rounds = 3;
  bool json = false;
};

/// A folder for the time of the bench.
class Scratch {
 public:
  static Result<Scratch> make() {
    std::string name = (std::filesystem::temp_directory_path() / "atoll-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      return Error{Code::kIo, name, "cannot be made; set TMPDIR to a folder that can be written"};
    }
    return Scratch(name);
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit Scratch(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

Status prepare_text(const std::filesystem::path& folder) {
  const Random random(1, "bench/text");
  std::string text;
  for (std::uint64_t chapter = 0; chapter < kChapters; ++chapter) {
    text += "# " + std::to_string(chapter) + "\n";
    for (std::uint64_t i = 0; i < kChapterBytes; ++i) {
      text += static_cast<char>('a' + random.below(26, chapter, i));
    }
    text += "\n\n";
  }
  ATOLL_TRY(write_file(folder / "text.txt", as_bytes(text)));
  data::PrepareOptions options;
  options.input = folder / "text.txt";
  options.output = folder / "data";
  ATOLL_ASSIGN(const auto prepared, data::prepare(options));
  (void)prepared;
  return {};
}

job::Job bench_job(const std::filesystem::path& folder) {
  job::Job job;
  job.name = "bench";
  job.topology = "bench";
  job.model = bench_gpt();
  job.data.path = (folder / "data").string();
  job.optimizer.clip_norm = 0;
  job.training.steps = kWarmup + kTimed + 1;  // the last one also takes the final snapshot
  job.training.leaves = 1;                    // one micro-batch a step, as the loop has it
  job.training.sequences_per_leaf = static_cast<std::uint32_t>(kBenchBatch);
  job.training.context = static_cast<std::uint32_t>(kBenchContext);
  job.evaluation.rounds = 1;
  return job;
}

/// One node with no neighbours: it notes when each training step was done.
class Watch final : public node::Events, public node::Wire {
 public:
  explicit Watch(std::uint64_t last_step) : last_step_(last_step) {}

  void progress(const node::Progress& progress) override {
    const std::lock_guard lock(mutex_);
    if (!progress.round.training() || ended_) return;
    times_.push_back(system_clock().now());
    if (progress.round.step == last_step_) end({});
  }
  void failed(const std::string& actor, const Error& error) override {
    const std::lock_guard lock(mutex_);
    if (!ended_) end(Error{error.code, actor + ": " + error.where, error.what});
  }
  void checkpoint_written(std::uint64_t, const std::string&) override {}
  void held(const std::string&, std::uint64_t) override {}
  // A plan for one node has no wire.
  void send_token(std::uint32_t, std::uint64_t, const Token&) override {}
  void send_credit(std::uint32_t) override {}
  link::LineNow line(std::uint32_t) const override { return {}; }
  bool send_letter(std::uint32_t, node::Letter) override { return false; }

  /// Seconds between the ends of consecutive steps, once the last one is done.
  Result<std::vector<double>> wait() {
    ATOLL_TRY(outcome_.get_future().get());
    std::vector<double> taken;
    for (std::size_t i = 1; i < times_.size(); ++i) {
      taken.push_back(seconds(times_[i] - times_[i - 1]));
    }
    return taken;
  }

 private:
  void end(Status status) {
    ended_ = true;
    outcome_.set_value(std::move(status));
  }

  const std::uint64_t last_step_;
  std::mutex mutex_;
  std::vector<Time> times_;
  bool ended_ = false;
  std::promise<Status> outcome_;
};

/// Timed steps of the job by its actors, in this process.
Result<std::vector<double>> by_actors(const job::Job& job, const std::filesystem::path& folder,
                                      std::uint32_t threads) {
  topology::Topology topology;
  topology.name = "bench";
  topology.nodes.push_back({"here", "here", std::uint64_t{1} << 40, threads, "127.0.0.1"});
  ATOLL_ASSIGN(const plan::Plan plan, plan::make_plan(job, topology));
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", std::size_t{1});
  caf::actor_system system(config);
  device::CpuStream compute("compute", threads);
  device::CpuStream io("io", 1);
  Watch watch(kWarmup + kTimed);
  ATOLL_ASSIGN(const auto crew, actors::make_crew({system, compute, io, system_clock(), nullptr},
                                                  {plan, 0, watch, watch, folder.string()}));
  crew->begin();
  ATOLL_ASSIGN(std::vector<double> taken, watch.wait());
  // The first interval ends with step 2.
  taken.erase(taken.begin(), taken.begin() + kWarmup - 1);
  return taken;
}

/// The same steps by the plain loop: no actor, no register, no thread but those that compute.
Result<std::vector<double>> by_loop(const job::Job& job, std::uint32_t threads) {
  ATOLL_ASSIGN(const auto reader, actors::BatchReader::open(job));
  ops::ThreadPool context(threads);
  nn::Trainer trainer(context, job.model, job.training.precision, job.training.seed);
  std::vector<double> taken;
  for (std::uint64_t step = 1; step <= kWarmup + kTimed; ++step) {
    const Time start = system_clock().now();
    Round round;
    round.step = step;
    ATOLL_ASSIGN(const auto batch, reader.read(context, context.pool(), round, 0));
    trainer.differentiate(batch.tokens, batch.targets, step);
    trainer.update({.lr = 1e-3f, .step = static_cast<std::int64_t>(step)});
    if (step > kWarmup) taken.push_back(seconds(system_clock().now() - start));
  }
  return taken;
}

void append(std::vector<double>& all, const std::vector<double>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

Result<int> bench_runtime(const RuntimeOptions& options) {
  ATOLL_ASSIGN(const Scratch scratch, Scratch::make());
  ATOLL_TRY(prepare_text(scratch.path()));
  const job::Job job = bench_job(scratch.path());
  std::vector<double> actors, loop;
  for (std::uint32_t round = 0; round < options.rounds; ++round) {
    const auto run = scratch.path() / ("run-" + std::to_string(round));
    std::filesystem::create_directories(run);
    ATOLL_ASSIGN(const auto through, by_actors(job, run, options.threads));
    append(actors, through);
    ATOLL_ASSIGN(const auto bare, by_loop(job, options.threads));
    append(loop, bare);
    std::filesystem::remove_all(run);
  }
  print_row({.name = "runtime-step-seconds",
             .ours = median(std::move(actors)),
             .theirs = median(std::move(loop)),
             .target = kTarget},
            options.json);
  return 0;
}

}  // namespace

void add_bench_runtime(CLI::App& bench, Action& action) {
  auto options = std::make_shared<RuntimeOptions>();
  CLI::App* command = bench.add_subcommand(
      "runtime", "Time of a training step by the actors of one node, against a bare loop");
  command->add_option("--threads", options->threads, "Compute threads of each side")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->add_option("--rounds", options->rounds, "Turns that each side takes")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_flag("--json", options->json, "Print a line of JSON");
  command->callback([options, &action] { action = [options] { return bench_runtime(*options); }; });
}

}  // namespace reef::app
