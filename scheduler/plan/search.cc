#include "scheduler/plan/search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>
#include <string_view>
#include <tuple>

#include "runtime/base/units.h"
#include "scheduler/cost/cost.h"
#include "scheduler/job/check.h"
#include "scheduler/plan/buckets.h"
#include "scheduler/plan/builder.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/promise.h"
#include "scheduler/plan/stages.h"

namespace reef::plan {
namespace {

using job::Parallelism;
using job::Schedule;
using placement::Spread;

constexpr std::array kRecomputes{nn::Recompute::kNone, nn::Recompute::kSelective,
                                 nn::Recompute::kFull};
constexpr std::array kSchedules{Schedule{}, Schedule{Schedule::Kind::kZeroBubble, 1},
                                Schedule{Schedule::Kind::kInterleaved, 2}};
constexpr double kEqualSteps = 0.01;  ///< below it a model of times says nothing
/// Unequal micro-batches give up equal bits on every layout, which a few percent are not worth.
constexpr double kWorthUnequal = 1.05;
/// Shards of all layouts that are played: some seconds of work.
constexpr std::size_t kMostShards = 12288;

/// The same without the nodes that only relay: what the model is spread over.
topology::Topology workers_of(const topology::Topology& topology) {
  topology::Topology workers = topology;
  std::erase_if(workers.nodes, [](const topology::Node& node) { return node.relay_only; });
  return workers;
}

struct Option {
  Parallelism parallelism;
  Spread spread = Spread::kReplicas;
  double promise = 0;  ///< seconds of a step
};

class Search {
 public:
  Search(const job::Job& job, const topology::Topology& topology)
      : job_(job),
        topology_(topology),
        workers_(workers_of(topology)),
        spec_(job::spec_of(job)),
        promise_(job, workers_, spec_) {
    for (const topology::Node& node : workers_.nodes)
      speeds_.push_back(cost::flops_per_second(node.device, node.threads));
  }

  std::vector<Candidate> run() const {
    std::vector<Candidate> found;
    for (const Option& option : promising(options())) found.push_back(weigh(option));
    std::ranges::stable_sort(found, before);
    return found;
  }

 private:
  std::vector<Option> options() const {
    if (job_.parallelism.mode == Parallelism::Mode::kManual) return spreads_of(job_.parallelism);
    std::vector<Option> all;
    const auto nodes = static_cast<std::uint32_t>(workers_.nodes.size());
    const auto layers = static_cast<std::uint32_t>(spec_.layers.size());
    for (std::uint32_t tp = 1; can_share_layers(tp); tp *= 2) {
      for (std::uint32_t cp = 1; can_share_sequences(cp, tp); cp *= 2) {
        for (std::uint32_t dp = 1; dp <= job_.training.leaves; dp *= 2) {
          // One shard a node, or where that does not come out even as few more as keep all at work.
          const std::uint32_t each = dp * cp * tp, pp = (nodes + each - 1) / each;
          if (pp > layers || (each > nodes && nodes > 1)) continue;
          Parallelism parallelism;
          parallelism.dp = dp;
          parallelism.pp = pp;
          parallelism.tp = tp;
          parallelism.cp = cp;
          parallelism.bucket_bytes = job_.parallelism.bucket_bytes;
          add_schedules(parallelism, all);
          if (nodes == 1) break;  // more replicas of one device only hold more
        }
      }
    }
    return all;
  }

  void add_schedules(Parallelism parallelism, std::vector<Option>& all) const {
    for (const Schedule& schedule : kSchedules) {
      parallelism.schedule = schedule;
      parallelism.zero_stage = 0;
      const bool pipeline = parallelism.pp > 1 || schedule == Schedule{};
      if (!pipeline || parallelism.stages() > spec_.layers.size()) continue;
      add_options(parallelism, all);
      if (parallelism.replicas() == 1 || !job::can_share_state(job_)) continue;
      parallelism.zero_stage = 1;
      add_options(parallelism, all);
    }
  }

  bool can_share_layers(std::uint32_t ranks) const {
    return ranks == 1 || (job::can_share_layers(job_, ranks) && stay_together(ranks));
  }
  bool can_share_sequences(std::uint32_t context, std::uint32_t ranks) const {
    return context == 1 ||
           (job::can_share_sequences(job_, context) && stay_together(context * ranks));
  }

  /// Whether groups of so many nodes each stand within one datacenter.
  bool stay_together(std::uint32_t group) const {
    std::map<std::string_view, std::uint32_t> nodes;
    for (const topology::Node& node : workers_.nodes) ++nodes[node.datacenter];
    return std::ranges::all_of(nodes,
                               [group](const auto& entry) { return entry.second % group == 0; });
  }

  /// With equal micro-batches, and where replicas' devices are unequally fast with as many as suit
  /// them.
  void add_options(const Parallelism& parallelism, std::vector<Option>& all) const {
    const std::vector<Option> equal = spreads_of(parallelism);
    all.insert(all.end(), equal.begin(), equal.end());
    if (parallelism.dp == 1) return;
    for (Option option : equal) {
      const std::vector<double> speeds =
          placement::group_speeds(option.spread, plan::shards_of(parallelism), speeds_);
      const auto last_done = [&](const std::vector<std::uint32_t>& counts) {
        double last = 0;
        for (std::size_t i = 0; i < counts.size(); ++i)
          last = std::max(last, counts[i] / speeds[i]);
        return last;
      };
      const std::uint32_t leaves = job_.training.leaves;
      option.parallelism.micro_batches = placement::deal(leaves, speeds);
      const std::vector<std::uint32_t> same(parallelism.dp, leaves / parallelism.dp);
      if (last_done(same) > kWorthUnequal * last_done(option.parallelism.micro_batches))
        all.push_back(std::move(option));
    }
  }

  /// Both spreads, where they differ.
  std::vector<Option> spreads_of(const Parallelism& parallelism) const {
    std::vector<Option> both{{parallelism, Spread::kReplicas}};
    if (parallelism.dp > 1 && parallelism.pp > 1) both.push_back({parallelism, Spread::kStages});
    return both;
  }

  /// All, or where that would take too long those that promise most, in whichever way they are
  /// spread.
  std::vector<Option> promising(std::vector<Option> all) const {
    for (Option& option : all) option.promise = promise_.seconds(option.parallelism, option.spread);
    for (std::size_t i = 1; i < all.size(); ++i) {
      if (all[i].parallelism != all[i - 1].parallelism) continue;
      all[i].promise = all[i - 1].promise = std::min(all[i].promise, all[i - 1].promise);
    }
    std::ranges::stable_sort(all, {}, &Option::promise);
    std::size_t shards = 0, kept = 0;
    while (kept < all.size() && (kept < 2 || shards < kMostShards)) {
      shards += shards_of(all[kept].parallelism);
      ++kept;
    }
    all.resize(kept);
    return all;
  }

  /// Each bucket of gradients counts as a shard, and ranks cost a sum a layer and direction.
  std::size_t shards_of(const Parallelism& p) const {
    const LayerRange all{0, static_cast<std::uint32_t>(spec_.layers.size())};
    const std::size_t buckets = cut_buckets(spec_, {&all, 1}, p).size() + 1;
    const std::size_t shards =
        std::size_t{p.replicas()} * std::max<std::size_t>(p.stages(), buckets) * p.tp;
    return p.tp == 1 ? shards : shards + std::size_t{2} * p.replicas() * p.tp * spec_.layers.size();
  }

  /// In mode auto with as little recomputing as fits, then with as little shared out; and where
  /// that is some recomputing, or does not fit, beside it with weights shared out, too, which
  /// computes less and sends more.
  Candidate weigh(const Option& option) const {
    if (job_.parallelism.mode == Parallelism::Mode::kManual)
      return candidate(option.parallelism, option.spread);
    // Sharing gradients out sends them more often, so only where memory asks for it; and replicas
    // that meet after each micro-batch need equally many.
    const std::uint32_t least = option.parallelism.zero_stage;
    const bool even = !option.parallelism.is_uneven();
    const Candidate found = first_that_fits(option, least, even ? 2 * least : least);
    const bool easy = found.short_by == 0 && found.parallelism.recompute == nn::Recompute::kNone;
    if (least == 0 || !even || easy) return found;
    Parallelism gathering = option.parallelism;
    gathering.zero_stage = 3;
    if (!job::problem_of_gathering(gathering).empty()) return found;
    const Candidate other = first_that_fits(option, 3, 3);
    return before(other, found) ? other : found;
  }

  /// Else the last one.
  Candidate first_that_fits(const Option& option, std::uint32_t least, std::uint32_t most) const {
    Candidate found;
    Parallelism parallelism = option.parallelism;
    for (const nn::Recompute recompute : kRecomputes) {
      if (recompute == nn::Recompute::kFull && parallelism.cp > 1) continue;  // job::check_values()
      parallelism.recompute = recompute;
      for (std::uint32_t zero = least; zero <= most; ++zero) {
        parallelism.zero_stage = zero;
        found = candidate(parallelism, option.spread);
        if (found.short_by == 0) return found;
      }
    }
    return found;
  }

  Candidate candidate(const Parallelism& parallelism, Spread spread) const {
    job::Job job = job_;
    job.parallelism = parallelism;
    Candidate found;
    found.parallelism = parallelism;
    found.spread = spread;
    found.plan = lay_out(job, workers_, spread);
    for (const topology::Node& node : topology_.nodes) {
      if (node.relay_only) found.plan.nodes.push_back(plan_node(node));
    }
    note_traffic(found);
    note_memory(found);
    if (found.short_by == 0) {
      found.forecast = simulate(found.plan, topology_, job::spec_of(job), tokens_per_shard(job));
      found.plan.predicted_step_seconds = found.forecast.step_seconds;
    }
    return found;
  }

  static void note_traffic(Candidate& found) {
    const Plan& plan = found.plan;
    for (const Edge& edge : plan.edges) {
      if (!edge.wire || edge.content == Content::kState) continue;
      const double bytes = static_cast<double>(edge.bytes) * edge.tokens * edge.ratio;
      const Node& from = plan.nodes[plan.actors[edge.producer].node];
      const Node& to = plan.nodes[plan.actors[edge.consumer].node];
      found.node_bytes += bytes;
      if (from.datacenter != to.datacenter) found.wide_bytes += bytes;
    }
  }

  static void note_memory(Candidate& found) {
    const auto needed = memory_of(found.plan);
    for (std::size_t i = 0; i < needed.size(); ++i) {
      const std::uint64_t limit = found.plan.nodes[i].memory;
      if (needed[i] <= limit || needed[i] - limit <= found.short_by) continue;
      found.short_by = needed[i] - limit;
      found.fullest = static_cast<NodeIndex>(i);
    }
  }

  static bool before(const Candidate& a, const Candidate& b) {
    const auto steps = [](const Candidate& one) {  // in hundredths of themselves
      return std::round(std::log(std::max(one.forecast.step_seconds, 1e-9)) / kEqualSteps);
    };
    return std::make_tuple(a.short_by, steps(a), a.wide_bytes, a.node_bytes) <
           std::make_tuple(b.short_by, steps(b), b.wide_bytes, b.node_bytes);
  }

  const job::Job& job_;
  const topology::Topology& topology_;
  const topology::Topology workers_;
  const nn::ModelSpec spec_;
  const Promise promise_;
  std::vector<double> speeds_;  ///< of the workers
};

std::string size_text(double bytes) { return format_size(static_cast<std::uint64_t>(bytes)); }

}  // namespace

std::vector<Candidate> search(const job::Job& job, const topology::Topology& topology) {
  return Search(job, topology).run();
}

std::string describe(const Candidate& candidate) {
  const Parallelism& p = candidate.parallelism;
  std::string text = "dp " + std::to_string(p.dp) + " x pp " + std::to_string(p.pp);
  if (p.tp > 1) text += " x tp " + std::to_string(p.tp);
  if (p.cp > 1) text += " x cp " + std::to_string(p.cp);
  text += ", " + name_of(p.schedule);
  if (p.recompute != nn::Recompute::kNone)
    text += ", recompute " + std::string(nn::name_of(p.recompute));
  if (p.shares_state()) text += ", zero_stage " + std::to_string(p.zero_stage);
  if (p.is_uneven()) text += ", micro-batches " + job::ratio_text(p.micro_batches);
  if (p.dp == 1 || p.pp == 1) return text;
  return text + (candidate.spread == Spread::kReplicas ? ", replicas spread over datacenters"
                                                       : ", stages spread over datacenters");
}

std::string reason(const Candidate& loser, const Candidate& winner) {
  if (loser.short_by > 0) {
    return "node " + loser.plan.nodes[loser.fullest].name + " is short by " +
           format_size(loser.short_by);
  }
  const double more = loser.forecast.step_seconds / winner.forecast.step_seconds - 1;
  if (more > kEqualSteps) {
    char text[64];
    std::snprintf(text, sizeof text, "a step takes %.0f %% longer", 100 * more);
    return text;
  }
  if (loser.wide_bytes > winner.wide_bytes) {
    return "as fast, but sends " + size_text(loser.wide_bytes) + " between datacenters, not " +
           size_text(winner.wide_bytes);
  }
  return "as fast, but sends " + size_text(loser.node_bytes) + " between nodes, not " +
         size_text(winner.node_bytes);
}

}  // namespace reef::plan
