#include "scheduler/plan/simulation/wires.h"

#include <tuple>

#include "scheduler/cost/cost.h"

namespace reef::plan {
namespace {

/// What is sent first on a line that is free, lowest first: the lanes of a channel.
std::uint32_t urgency(Content content) {
  switch (content) {
    case Content::kGradient:
    case Content::kWeights:
      return 1;
    case Content::kState:
      return 2;
    default:
      return 0;
  }
}

}  // namespace

Wires::Wires(const Plan& plan, const topology::Topology& topology, std::vector<LineUse>& lines)
    : wire_of_(plan.edges.size(), 0) {
  for (const Edge& edge : plan.edges) {
    urgency_.push_back(urgency(edge.content));
    if (edge.wire) add(plan, edge, topology, lines);
  }
}

void Wires::add(const Plan& plan, const Edge& edge, const topology::Topology& topology,
                std::vector<LineUse>& lines) {
  const NodeIndex from = plan.actors[edge.producer].node, to = plan.actors[edge.consumer].node;
  const std::string &near = plan.nodes[from].datacenter, &far = plan.nodes[to].datacenter;
  const bool wide = near != far;
  const topology::Line line = topology::line_between(topology, near, far);
  const std::string key = wide ? near + '>' + far : std::to_string(from) + '>' + std::to_string(to);
  const auto [found, added] = line_of_.try_emplace(key, static_cast<std::uint32_t>(lines_.size()));
  if (added) {
    lines_.emplace_back();
    lines.push_back(
        {wide ? near : plan.nodes[from].name, wide ? far : plan.nodes[to].name, wide, 0, 0});
  }
  // Snapshots are rare and left out.
  const double bytes =
      edge.content == Content::kState ? 0 : static_cast<double>(edge.bytes) * edge.ratio;
  wire_of_[edge.id] = static_cast<std::uint32_t>(wires_.size());
  wires_.push_back(
      {found->second, bytes, cost::transfer_seconds(line, bytes), seconds(line.round_trip) / 2, 0});
}

bool Wires::Message::operator>(const Message& other) const {
  return std::tie(urgency, order) > std::tie(other.urgency, other.order);
}

std::uint32_t Wires::wait(EdgeId edge, std::uint64_t order) {
  const std::uint32_t line = of(edge).line;
  lines_[line].waiting.push({urgency_[edge], order, edge});
  return line;
}

std::optional<EdgeId> Wires::begin(std::uint32_t index) {
  Line& line = lines_[index];
  if (line.busy || line.waiting.empty()) return std::nullopt;
  line.carries = line.waiting.top().edge;
  line.waiting.pop();
  line.busy = true;
  return line.carries;
}

EdgeId Wires::end(std::uint32_t line) {
  lines_[line].busy = false;
  return lines_[line].carries;
}

}  // namespace reef::plan
