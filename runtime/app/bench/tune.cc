// How good the tuner's choices are: against what trying every candidate everywhere would choose.

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "ops/cpu/thread_pool.h"
#include "ops/tune/call_key.h"
#include "runtime/app/bench/bench.h"
#include "runtime/app/practice.h"

namespace reef::app {

namespace {

constexpr double kTarget = 1.03;
constexpr int kStepsPerCandidate = 12;
constexpr int kWarmUp = 2;

struct Case {
  nn::GptConfig config;
  std::int64_t sequences, length;
};

/// The quickstart's model, a larger one, and one whose products hardly fill two workers.
std::vector<Case> cases() {
  nn::GptConfig large;
  large.n_positions = 256;
  large.n_embd = 384;
  large.n_layer = 2;
  nn::GptConfig small;
  small.n_embd = 96;
  small.n_head = 3;
  return {{{}, 2, 128}, {large, 2, 256}, {small, 1, 64}};
}

/// Times every candidate in the place where it would run: all calls of a step by the same one.
class Exhaustive final : public ops::Chooser {
 public:
  void run(std::span<const ops::Entry* const> candidates, const ops::Call& call) override {
    most_ = std::max(most_, candidates.size());
    const ops::Entry& entry = *candidates[turn_ % candidates.size()];
    const Time start = system_clock().now();
    entry.kernel(call);
    const double taken = seconds(system_clock().now() - start);
    if (!records_) return;
    const std::string text = ops::tune::text_of(entry.key, call);
    preferred_[text] = candidates[0]->name;
    times_[text][entry.name].push_back(taken);
  }

  void measure(Practice& practice) {
    for (int step = 0; step < kWarmUp; ++step) practice.step();
    records_ = true;
    for (std::size_t step = 0; step < kStepsPerCandidate * most_; ++step) {
      turn_ = step;
      practice.step();
    }
  }

  /// The median of one candidate for a call.
  double of(const std::string& call, std::string_view name) const {
    return median(times_.at(call).at(name));
  }
  double preferred(const std::string& call) const { return of(call, preferred_.at(call)); }
  double best(const std::string& call) const {
    double least = std::numeric_limits<double>::infinity();
    for (const auto& [name, times] : times_.at(call)) least = std::min(least, median(times));
    return least;
  }

 private:
  std::size_t most_ = 1;
  std::size_t turn_ = 0;
  bool records_ = false;
  std::map<std::string, std::string_view> preferred_;
  std::map<std::string, std::map<std::string_view, std::vector<double>>> times_;
};

/// Seconds of one call of every shape.
struct Sums {
  double chosen = 0;
  double best = 0;
  double preferred = 0;  ///< without a tuner
};

void compare(const Case& one, std::size_t threads, bool verbose, Sums& sums) {
  ops::ThreadPool context(threads);
  Practice practice(context, one.config, nn::Precision::kF32, one.sequences, one.length);
  ops::tune::Tuner tuner({});
  {
    const ops::tune::Tuning tuning(tuner);
    practise(practice, tuner);
  }
  Exhaustive exhaustive;
  {
    const ops::tune::Tuning tuning(exhaustive);
    exhaustive.measure(practice);
  }
  for (const auto& decision : tuner.decisions()) {
    const double chosen = exhaustive.of(decision.call, decision.choice.kernel);
    const double best = exhaustive.best(decision.call);
    sums.chosen += chosen;
    sums.best += best;
    sums.preferred += exhaustive.preferred(decision.call);
    if (!verbose) continue;
    std::printf("%7.1f us, best %7.1f, %.3f  %-5s  %s\n", 1e6 * chosen, 1e6 * best, chosen / best,
                decision.choice.kernel.c_str(), decision.call.c_str());
  }
}

Result<int> bench_tune(std::size_t threads, bool json) {
  Sums sums;
  for (const Case& one : cases()) compare(one, threads, !json, sums);
  if (!json) std::printf("without a tuner %.4g s\n", sums.preferred);
  print_row({.name = "autotune", .ours = sums.chosen, .theirs = sums.best, .target = kTarget},
            json);
  return 0;
}

}  // namespace

void add_bench_tune(CLI::App& bench, Action& action) {
  struct Options {
    std::size_t threads = 2;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = bench.add_subcommand(
      "tune", "Seconds of the kernels that were chosen by measuring, against the best there are");
  command->add_option("--threads", options->threads, "Compute threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->add_flag("--json", options->json, "Print the row as JSON");
  command->callback([options, &action] {
    action = [options] { return bench_tune(options->threads, options->json); };
  });
}

}  // namespace reef::app
