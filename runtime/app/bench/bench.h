#pragma once
// The measurements of `atoll bench`, one file each. A measurement prints rows: a figure of ours,
// the other side's where there is one, and the target that it is held to.

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/app/commands/commands.h"
#include "runtime/base/clock.h"

namespace reef::app {

/// `ratio`, ours over theirs, is what is held to the target; without `theirs` it is `ours` itself.
struct Row {
  std::string name;
  double ours = 0;
  std::optional<double> theirs;
  double target = 0;
  bool at_least = false;  ///< the target is a least value, not a greatest
  /// Of `ours` and `theirs`, where a run says it: see spread().
  std::optional<std::pair<double, double>> spread = {};

  std::optional<double> ratio() const;
  bool holds() const;
  /// {"row":"dispatch-ns","ours":150,"theirs":null,"ratio":null,"target":200,"holds":true}
  std::string json() const;
  /// "dispatch-ns: 150, target at most 200: holds".
  std::string text() const;
};
/// To stdout, on a line.
void print_row(const Row& row, bool json);

/// The mean of the calls of `work` that fit into `span`, of which there are at least `least`: what
/// goes on for hours takes so long, its disturbances included.
Duration mean_time(Duration span, std::size_t least, const std::function<void()>& work);
/// The median over `samples` of what one call of `work` takes, each sample the mean of `calls`.
Duration median_time(std::size_t samples, std::size_t calls, const std::function<void()>& work);
double median(std::vector<double> values);
/// The median distance from the median.
double spread(std::vector<double> values);

void add_bench_attention(CLI::App& bench, Action& action);
void add_bench_codec(CLI::App& bench, Action& action);
void add_bench_dispatch(CLI::App& bench, Action& action);
void add_bench_link(CLI::App& bench, Action& action);
void add_bench_plan(CLI::App& bench, Action& action);
void add_bench_seal(CLI::App& bench, Action& action);
void add_bench_tune(CLI::App& bench, Action& action);
void add_bench_step(CLI::App& bench, Action& action);
void add_bench_runtime(CLI::App& bench, Action& action);

}  // namespace reef::app
