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
#include "scheduler/plan/builder.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/stages.h"
#include "scheduler/plan/validate.h"

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
  double promise = 0;  ///< seconds of a step by arithmetic
};

class Search {
 public:
  Search(const job::Job& job, const topology::Topology& topology)
      : job_(job), topology_(topology), workers_(workers_of(topology)), spec_(job::spec_of(job)) {
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
    for (std::uint32_t tp = 1; can_share(tp); tp *= 2) {
      for (std::uint32_t dp = 1; dp <= job_.training.leaves; dp *= 2) {
        // One shard a node, or where that does not come out even as few more as keep all at work.
        const std::uint32_t pp = (nodes + dp * tp - 1) / (dp * tp);
        if (pp > layers || (dp * tp > nodes && nodes > 1)) continue;
        for (const Schedule& schedule : kSchedules) {
          Parallelism parallelism;
          parallelism.dp = dp;
          parallelism.pp = pp;
          parallelism.tp = tp;
          parallelism.schedule = schedule;
          const bool pipeline = pp > 1 || schedule == Schedule{};
          if (!pipeline || parallelism.stages() > layers) continue;
          add_options(parallelism, all);
          if (dp == 1 || !job::can_share_state(job_)) continue;
          parallelism.zero_stage = 1;
          add_options(parallelism, all);
        }
        if (nodes == 1) break;  // more replicas of one device only hold more
      }
    }
    return all;
  }

  /// Whether so many ranks may share layers, each group within one datacenter.
  bool can_share(std::uint32_t tp) const {
    if (tp == 1) return true;
    if (!job::can_share_layers(job_, tp)) return false;
    std::map<std::string_view, std::uint32_t> nodes;
    for (const topology::Node& node : workers_.nodes) ++nodes[node.datacenter];
    return std::ranges::all_of(nodes, [tp](const auto& entry) { return entry.second % tp == 0; });
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
    for (Option& option : all) option.promise = promise_of(option);
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

  /// Ranks cost a sum a layer and direction beside each shard.
  std::size_t shards_of(const Parallelism& p) const {
    const std::size_t shards = std::size_t{p.replicas()} * p.stages() * p.tp;
    return p.tp == 1 ? shards : shards + std::size_t{2} * p.replicas() * p.tp * spec_.layers.size();
  }

  /// All FLOPs over all devices and the pipeline's bubble, or the activations on a slow line if
  /// they take longer, what ranks add up, and then what replicas exchange: in all but the outermost
  /// exchanges within a datacenter.
  double promise_of(const Option& option) const {
    const Parallelism& p = option.parallelism;
    const double speed = std::accumulate(speeds_.begin(), speeds_.end(), 0.0);
    const cost::Layer all = cost::range_cost(spec_, 0, spec_.layers.size(), tokens_per_leaf(job_));
    const double leaves = job_.training.leaves;
    const double gaps = p.schedule.kind == Schedule::Kind::kZeroBubble
                            ? 1.0 / 3
                            : 1.0 / p.schedule.stages_per_device;
    const double bubble = (p.pp - 1) * gaps * p.dp / leaves;
    double work = (all.forward_flops + all.backward_flops) * leaves / speed * (1 + bubble);

    const double places = datacenters();
    const std::string &first = workers_.nodes.front().datacenter,
                      &last = workers_.nodes.back().datacenter;
    const topology::Line near = topology::line_between(topology_, first, first);
    const topology::Line far = topology::line_between(topology_, first, last);
    const double gradients = 4.0 * static_cast<double>(all.parameters) *
                             cost::codec_ratio(job_.codecs.gradients, ops::DType::kF32);
    const double weights = static_cast<double>(all.weight_bytes) *
                           cost::codec_ratio(job_.codecs.weights, spec_.activations);
    const double hidden = static_cast<double>(ops::size_of(spec_.activations)) *
                          static_cast<double>(tokens_per_leaf(job_)) *
                          static_cast<double>(nn::width_of(spec_.config)) *
                          cost::codec_ratio(job_.codecs.activations, spec_.activations);
    work += leaves / p.dp * 2.0 * static_cast<double>(spec_.layers.size() - 1) / p.pp *
            std::log2(p.tp) * cost::transfer_seconds(near, hidden);
    double outer = 0;  // exchanges that cross, each replica's over the one line
    if (places > 1 && p.dp > 1 && option.spread == Spread::kReplicas) {
      outer = std::min(std::log2(places), std::log2(p.dp));
    } else if (places > 1) {
      work = std::max(work, leaves * cost::transfer_seconds(far, hidden));
    }
    // Shared out, halves of gradients, then of halves, and the same of weights back.
    const double inner = std::log2(p.dp) - outer;
    const double left = std::exp2(-inner);
    const double within = p.shares_state() ? (gradients + weights) * (1 - left) : gradients * inner;
    const double across =
        p.shares_state() ? (gradients + weights) * (left - 1.0 / p.dp) : gradients * outer;
    return work + cost::transfer_seconds(far, across * std::max(1.0, p.dp / places)) +
           cost::transfer_seconds(near, within / p.pp / p.tp);
  }

  double datacenters() const {
    double count = 1;
    for (std::size_t i = 1; i < workers_.nodes.size(); ++i)
      count += workers_.nodes[i].datacenter != workers_.nodes[i - 1].datacenter;
    return count;
  }

  /// In mode auto with as little recomputing as fits, then with as little shared out.
  Candidate weigh(const Option& option) const {
    if (job_.parallelism.mode == Parallelism::Mode::kManual)
      return candidate(option.parallelism, option.spread);
    Candidate found;
    Parallelism parallelism = option.parallelism;
    for (const nn::Recompute recompute : kRecomputes) {
      parallelism.recompute = recompute;
      // Sharing gradients out sends them more often, so only where memory asks for it; and replicas
      // that meet after each micro-batch need equally many.
      const std::uint32_t least = option.parallelism.zero_stage;
      const std::uint32_t most = parallelism.is_uneven() ? least : 2 * least;
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
