#include "scheduler/placement/placement.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>

#include "runtime/base/check.h"
#include "runtime/base/text.h"

namespace reef::placement {

std::vector<std::uint32_t> cut(const std::vector<double>& costs,
                               const std::vector<double>& speeds) {
  const std::size_t layers = costs.size();
  const auto stages = static_cast<std::uint32_t>(speeds.size());
  CHECK(stages >= 1 && stages <= layers);
  std::vector<double> sum(layers + 1, 0);
  for (std::size_t i = 0; i < layers; ++i) sum[i + 1] = sum[i] + costs[i];

  // Where all are equally fast the costs stay as they are, and with them what counts as equal.
  const double fastest = *std::max_element(speeds.begin(), speeds.end());

  // slowest[s][n]: the least possible time of the slowest of s ranges over the first n layers;
  // begin[s][n]: where the last of these ranges begins.
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector slowest(stages + 1, std::vector<double>(layers + 1, infinity));
  std::vector begin(stages + 1, std::vector<std::uint32_t>(layers + 1, 0));
  slowest[0][0] = 0;
  for (std::uint32_t s = 1; s <= stages; ++s) {
    const double slowness = fastest / speeds[s - 1];
    for (std::size_t n = s; n <= layers; ++n) {
      for (std::size_t from = s - 1; from < n; ++from) {
        const double here = std::max(slowest[s - 1][from], (sum[n] - sum[from]) * slowness);
        if (here >= slowest[s][n]) continue;
        slowest[s][n] = here;
        begin[s][n] = static_cast<std::uint32_t>(from);
      }
    }
  }

  std::vector<std::uint32_t> boundaries(stages + 1, 0);
  boundaries[stages] = static_cast<std::uint32_t>(layers);
  for (std::uint32_t s = stages; s > 0; --s) boundaries[s - 1] = begin[s][boundaries[s]];
  return boundaries;
}

std::uint32_t node_of(Spread spread, Shards shards, std::uint32_t nodes, std::uint32_t replica,
                      std::uint32_t stage, std::uint32_t rank) {
  const std::uint32_t groups = shards.replicas / shards.context;  // each with a context
  const std::uint32_t group = replica / shards.context, member = replica % shards.context;
  const std::uint64_t place = spread == Spread::kReplicas
                                  ? std::uint64_t{group} * shards.stages + stage
                                  : std::uint64_t{stage} * groups + group;
  const std::uint64_t shard = (place * shards.context + member) * shards.ranks + rank;
  return static_cast<std::uint32_t>(shard * nodes / shards.total());
}

namespace {

/// Of all shards of `stages` stages: visit(replica, stage, node).
template <typename Visit>
void for_shards(Spread spread, Shards shards, std::uint32_t nodes, std::uint32_t stages,
                Visit&& visit) {
  for (std::uint32_t r = 0; r < shards.replicas; ++r) {
    for (std::uint32_t s = 0; s < stages; ++s) {
      for (std::uint32_t t = 0; t < shards.ranks; ++t)
        visit(r, s, node_of(spread, shards, nodes, r, s % shards.stages, t));
    }
  }
}

}  // namespace

std::vector<double> stage_speeds(Spread spread, Shards shards, const std::vector<double>& nodes,
                                 std::uint32_t stages, const std::vector<double>& work) {
  const auto count = static_cast<std::uint32_t>(nodes.size());
  std::vector<double> shared(count, 0);
  for_shards(spread, shards, count, stages,
             [&](std::uint32_t replica, std::uint32_t, std::uint32_t node) {
               shared[node] += work.empty() ? 1 : work[replica / shards.context];
             });
  std::vector<double> speeds(stages, std::numeric_limits<double>::infinity());
  for_shards(spread, shards, count, stages,
             [&](std::uint32_t, std::uint32_t stage, std::uint32_t node) {
               speeds[stage] = std::min(speeds[stage], shards.ranks * nodes[node] / shared[node]);
             });
  return speeds;
}

std::vector<double> group_speeds(Spread spread, Shards shards, const std::vector<double>& nodes) {
  const auto count = static_cast<std::uint32_t>(nodes.size());
  std::vector<double> shared(count, 0);
  for_shards(spread, shards, count, shards.stages,
             [&](std::uint32_t, std::uint32_t, std::uint32_t node) { ++shared[node]; });
  std::vector<double> speeds(shards.replicas / shards.context,
                             std::numeric_limits<double>::infinity());
  for_shards(spread, shards, count, shards.stages,
             [&](std::uint32_t replica, std::uint32_t, std::uint32_t node) {
               double& group = speeds[replica / shards.context];
               group = std::min(group, nodes[node] / shared[node]);
             });
  return speeds;
}

std::vector<std::uint32_t> deal(std::uint32_t leaves, const std::vector<double>& speeds) {
  CHECK(!speeds.empty() && speeds.size() <= leaves);
  std::vector<std::uint32_t> counts(speeds.size(), 1);
  // One by one to who would be done with it first. (done at, who)
  using Turn = std::pair<double, std::size_t>;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
  for (std::size_t i = 0; i < speeds.size(); ++i) turns.emplace(2 / speeds[i], i);
  for (auto left = leaves - speeds.size(); left > 0; --left) {
    const std::size_t next = turns.top().second;
    turns.pop();
    ++counts[next];
    turns.emplace((counts[next] + 1) / speeds[next], next);
  }
  return counts;
}

Status shards_fit(Shards shards, const std::vector<std::string>& nodes) {
  const std::uint64_t total = shards.total();
  if (total >= nodes.size() && !nodes.empty()) return {};
  const std::vector<std::string> idle(nodes.begin() + static_cast<std::ptrdiff_t>(total),
                                      nodes.end());
  return Error{Code::kNoFit, "spec.parallelism",
               std::to_string(shards.replicas) + " replicas x " + std::to_string(shards.stages) +
                   " pipeline devices" +
                   (shards.ranks > 1 ? " x " + std::to_string(shards.ranks) + " ranks" : "") +
                   " = " + std::to_string(total) + " shards for " + std::to_string(nodes.size()) +
                   " nodes; " + join(idle) + " would stand idle; raise dp, pp, tp or cp, or take " +
                   (idle.size() == 1 ? "it" : "them") + " out of the topology"};
}

}  // namespace reef::placement
