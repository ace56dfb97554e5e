#include "runtime/app/line_survey.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/base/units.h"

namespace reef::app {
namespace {

using Nodes = std::vector<const topology::Node*>;

bool can_dial(const topology::Node& from, const topology::Node& to) {
  return to.dialable == Reach::kAnywhere ||
         (to.dialable == Reach::kDatacenter && to.datacenter == from.datacenter);
}

/// The first of `from` with the first of `to` that it can dial.
bool choose(const Nodes& from, const Nodes& to, LineEnds& ends) {
  for (const topology::Node* a : from) {
    for (const topology::Node* b : to) {
      if (a == b || !can_dial(*a, *b)) continue;
      ends.from = a->name;
      ends.to = b->name;
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<LineEnds> lines_to_measure(const topology::Topology& topology) {
  std::vector<std::pair<std::string, Nodes>> datacenters;
  for (const topology::Node& node : topology.nodes) {
    if (datacenters.empty() || datacenters.back().first != node.datacenter)
      datacenters.push_back({node.datacenter, {}});
    datacenters.back().second.push_back(&node);
  }
  std::vector<LineEnds> lines;
  for (std::size_t i = 0; i < datacenters.size(); ++i) {
    for (std::size_t k = i + 1; k < datacenters.size(); ++k) {
      const auto& [near, ours] = datacenters[i];
      const auto& [far, theirs] = datacenters[k];
      LineEnds& ends = lines.emplace_back(LineEnds{near, far, {}, {}});
      if (!choose(ours, theirs, ends)) choose(theirs, ours, ends);
    }
  }
  for (const auto& [name, nodes] : datacenters) {
    if (nodes.size() > 1) choose(nodes, nodes, lines.emplace_back(LineEnds{name, name, {}, {}}));
  }
  return lines;
}

Result<node::LineResult> test_line(Client& client, const node::TestLine& test) {
  client.test_line(test);
  // Each trial settles and loads; the rest is for dialling and for a line that is slow to answer.
  const Duration limit = std::chrono::seconds(test.streams.size() * (test.seconds + 4) + 30);
  const Time deadline = system_clock().now() + limit;
  while (system_clock().now() < deadline) {
    auto arrived = client.next(std::chrono::seconds(1));
    if (!arrived) continue;
    Event* const event = &arrived->event;
    if (const auto* error = std::get_if<Error>(event)) return *error;
    if (const auto* failure = std::get_if<node::FailureReport>(event)) return failure->error;
    if (auto* result = std::get_if<node::LineResult>(event)) return std::move(*result);
  }
  return Error{Code::kTimedOut, "line between " + test.from + " and " + test.to,
               "no measurement in " + format_duration(limit) + "; see the nodes' logs"};
}

Result<std::vector<topology::Line>> survey(Client& client, const topology::Topology& topology) {
  std::vector<topology::Line> lines;
  for (const LineEnds& ends : lines_to_measure(topology)) {
    if (ends.from.empty() || ends.from_datacenter == ends.to_datacenter) continue;
    topology::Line line =
        topology::line_between(topology, ends.from_datacenter, ends.to_datacenter);
    const node::TestLine test{ends.from, ends.to, {1, 8}, line.congestion, 2};
    ATOLL_ASSIGN(const node::LineResult result, test_line(client, test));
    ATOLL_TRY(result.report);
    line.rate = std::max(1.0, result.report->best().rate);
    line.round_trip = result.report->round_trip;
    line.streams = result.report->best().streams;
    lines.push_back(line);
  }
  return lines;
}

std::string line_text(const std::string& a, const std::string& b, const link::LineReport& report) {
  return fmt::format(
      "{{between: [{}, {}], rate: {}, roundTrip: {}us, streams: {}}}", a, b,
      format_rate(report.best().rate),
      std::chrono::duration_cast<std::chrono::microseconds>(report.round_trip).count(),
      report.best().streams);
}

}  // namespace reef::app
