#include "scheduler/plan/modes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <tuple>

#include "scheduler/cost/quality.h"
#include "scheduler/plan/islands.h"
#include "scheduler/plan/layout.h"

namespace reef::plan {
namespace {

/// Of lock-step: gradients, activations, weights. Those with feedback leave weights and state
/// unshared.
constexpr std::array<std::array<const char*, 3>, 5> kPacked{{{"none", "none", "none"},
                                                             {"int8+zstd", "int8", "bf16+zstd"},
                                                             {"int4+zstd", "int4", "bf16+zstd"},
                                                             {"top-k:0.05", "int8", "none"},
                                                             {"power-sgd:16", "int8", "none"}}};
// Of local steps. Finer codecs first: of alike ones that one is taken.
constexpr std::array kTold{"int8+zstd", "int4+zstd", "top-k:0.03:int2+zstd"};
constexpr std::array<std::uint32_t, 3> kFragments{1, 2, 4};  ///< whose home each datacenter is
constexpr std::uint64_t kLeastInnerSteps = 8, kMostInnerSteps = 1024;
/// Fewer meetings than this in a job are not what any figure is of.
constexpr std::uint64_t kLeastMeetings = 8;
/// Shares of the time, below which a model of it says nothing.
constexpr double kAlike = 0.01;
/// A line that is busier has queues.
constexpr double kFull = 0.8;

std::string ratio(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.2f" : "%.0f", value);
  return text;
}

double tokens_per_step(const job::Job& job) {
  return static_cast<double>(job.training.leaves) * static_cast<double>(tokens_per_leaf(job));
}

class Weighing {
 public:
  Weighing(const job::Job& job, const topology::Topology& topology)
      : job_(job),
        topology_(topology),
        tokens_(tokens_per_step(job) * static_cast<double>(job.training.steps)) {}

  Result<std::vector<Mode>> all() {
    for (const auto& codecs : kPacked) add_lock_step(codecs);
    if (datacenters() > 1) add_local_steps();
    std::ranges::stable_sort(modes_, before);
    if (modes_.front().tokens_per_second == 0) return *problem_;
    for (std::size_t i = 1; i < modes_.size(); ++i) explain(modes_[i], modes_.front());
    return std::move(modes_);
  }

 private:
  std::uint32_t datacenters() const {
    std::map<std::string, int> names;
    for (const topology::Node& node : topology_.nodes) {
      if (!node.relay_only) ++names[node.datacenter];
    }
    return static_cast<std::uint32_t>(names.size());
  }

  void finish(Mode& mode, double loss, double more_seconds = 0) const {
    mode.extra_tokens = cost::text_for_loss(loss);
    mode.seconds = tokens_ * (1 + mode.extra_tokens) / mode.tokens_per_second + more_seconds;
  }

  void add_lock_step(const std::array<const char*, 3>& codecs) {
    Mode mode{job_, "lock-step"};
    mode.job.automatic.reset();
    mode.job.codecs = {codecs[1], codecs[0], codecs[2]};
    const auto choice = choose_plan(mode.job, topology_);
    if (!choice.ok()) {
      if (!problem_) problem_ = choice.error();
      mode.what += ", gradients " + mode.job.codecs.gradients;
      mode.why = choice.error().what;
      modes_.push_back(std::move(mode));
      return;
    }
    double loss = 0;  // of what crosses lines, of which one is the worst
    const bool pipeline = choice->plan.stages > 1, replicas = choice->plan.replicas > 1;
    if (replicas) {
      mode.what += ", gradients " + mode.job.codecs.gradients;
      loss = cost::loss_of_codec(mode.job.codecs.gradients, false);
    }
    if (pipeline) {
      mode.what += ", activations " + mode.job.codecs.activations;
      loss = std::max(loss, cost::loss_of_codec(mode.job.codecs.activations, false));
    }
    mode.what += ": " + choice->plan.layout.substr(0, choice->plan.layout.find(':'));
    mode.tokens_per_second = tokens_per_step(job_) / choice->forecast.step_seconds;
    finish(mode, loss);
    modes_.push_back(std::move(mode));
  }

  /// The islands' plans are the same for all; what they tell is arithmetic.
  void add_local_steps() {
    const auto shared = job::in_local_steps(job_, datacenters(), job_.automatic->local);
    if (!shared) {
      Mode mode{job_, "local steps"};
      mode.why = std::to_string(job_.training.leaves) + " leaves are fewer than " +
                 std::to_string(datacenters()) + " datacenters";
      modes_.push_back(std::move(mode));
      return;
    }
    const auto choices = choose_plans(*shared, topology_);
    if (!choices.ok()) {
      Mode mode{*shared, "local steps"};
      mode.why = choices.error().what;
      modes_.push_back(std::move(mode));
      return;
    }
    // Rarely first: of alike ones that one is taken.
    for (std::uint64_t steps = kMostInnerSteps; steps >= kLeastInnerSteps; steps /= 2) {
      if (steps > kLeastInnerSteps && steps * kLeastMeetings > shared->training.steps) continue;
      std::vector<Mode> alike;
      for (const char* codec : kTold) {
        for (const std::uint32_t each : kFragments) {
          const auto fragments =
              static_cast<std::uint32_t>(std::min<std::uint64_t>(each * datacenters(), steps));
          alike.push_back(local_steps(*shared, *choices, steps, fragments, codec));
        }
      }
      modes_.push_back(*std::ranges::min_element(alike, before));
    }
  }

  Mode local_steps(const job::Job& shared, const std::vector<Choice>& islands, std::uint64_t steps,
                   std::uint32_t fragments, const char* codec) const {
    Mode mode{shared, "local steps: every " + std::to_string(steps) + ", " +
                          std::to_string(fragments) +
                          (fragments == 1 ? " fragment, " : " fragments, ") + codec};
    mode.job.local_steps->inner_steps = steps;
    mode.job.local_steps->fragments = fragments;
    mode.job.local_steps->codec = codec;
    double stretch = 1, delay = 0, settling = 0;
    std::vector<double> speeds;
    for (const Choice& island : islands) {
      const double seconds = island.forecast.step_seconds;
      job::Job own = mode.job;
      own.island = job::job_from_json(island.plan.descriptor)->island;
      const auto own_steps = static_cast<double>(steps);
      const OuterForecast outer = forecast_outer(own, topology_, seconds);
      speeds.push_back(1 / outer.step_seconds);
      for (const OuterForecast::Way& way : outer.ways) {
        stretch = std::max({stretch, way.busy / kFull, outer.inner_steps / own_steps});
        delay = std::max(delay, way.delay);
        // All weights once more, when there is nothing left to do meanwhile.
        settling = std::max(settling, way.busy * own_steps * seconds);
      }
    }
    double together = 0;
    for (const double speed : speeds)
      together += mode.job.local_steps->own_pace ? speed : *std::ranges::min_element(speeds);
    mode.tokens_per_second = tokens_per_step(mode.job) * together;
    const double inner_steps = stretch * static_cast<double>(steps);
    const double loss =
        cost::loss_of_local_steps({datacenters(), inner_steps, std::max(delay, 1.0)}) +
        cost::loss_of_codec(codec, true);
    finish(mode, loss, settling);
    return mode;
  }

  bool is_too_dear(const Mode& mode) const {
    return mode.extra_tokens > job_.automatic->extra_tokens;
  }

  static double hundredths(const Mode& mode) {
    return std::round(std::log(std::max(mode.seconds, 1e-9)) / kAlike);
  }
  struct Before {
    const Weighing* weighing;
    bool operator()(const Mode& a, const Mode& b) const {
      const auto rank = [this](const Mode& mode) {
        const int out = mode.tokens_per_second == 0 ? 2 : weighing->is_too_dear(mode) ? 1 : 0;
        return std::make_tuple(out, hundredths(mode), mode.extra_tokens);
      };
      return rank(a) < rank(b);
    }
  };

  void explain(Mode& mode, const Mode& winner) const {
    if (mode.tokens_per_second == 0) return;
    char text[96];
    if (is_too_dear(mode) && !is_too_dear(winner)) {
      std::snprintf(text, sizeof text, "needs %.0f %% more text; extra_tokens allows %.0f %%",
                    100 * mode.extra_tokens, 100 * job_.automatic->extra_tokens);
      mode.why = text;
      return;
    }
    mode.why = hundredths(mode) > hundredths(winner)
                   ? "takes " + ratio(mode.seconds / winner.seconds) + " times as long"
                   : "as soon there, but needs more text or tells more often";
  }

  const job::Job& job_;
  const topology::Topology& topology_;
  const double tokens_;  ///< of the job
  const Before before{this};
  std::optional<Error> problem_;  ///< of the plainest way
  std::vector<Mode> modes_;
};

}  // namespace

Result<std::vector<Mode>> weigh_modes(const job::Job& job, const topology::Topology& topology) {
  return Weighing(job, topology).all();
}

}  // namespace reef::plan
