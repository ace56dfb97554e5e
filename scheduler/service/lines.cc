// Tests of lines: a client asks, a node measures, the figures serve later plans.

#include <algorithm>

#include "runtime/base/log.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "scheduler/service/service.h"

namespace reef::service {
namespace {

void log_line(const topology::Line& line) {
  log_info("line between " + line.from + " and " + line.to + ": " + format_rate(line.rate) +
           ", round trip " + format_duration(line.round_trip) + ", " +
           std::to_string(line.streams) + " streams, as measured");
}

}  // namespace

/// What was measured before counts more than what somebody wrote into the topology.
void Service::apply_measured_lines() {
  const auto measured = store_->lines();
  if (!measured.ok()) return log_error(measured.error().text());
  for (const topology::Line& line : *measured) use_line(line);
}

void Service::use_line(const topology::Line& measured) {
  for (topology::Line& line : topology_.lines) {
    const bool same = (line.from == measured.from && line.to == measured.to) ||
                      (line.from == measured.to && line.to == measured.from);
    if (!same) continue;
    line.rate = measured.rate;
    line.round_trip = measured.round_trip;
    line.streams = measured.streams;
    return log_line(line);
  }
  // Within a datacenter a topology need not say one.
  if (measured.from != measured.to) return;
  topology_.lines.push_back(measured);
  log_line(measured);
}

Status Service::test_line(std::uint64_t client, const node::TestLine& test) {
  Member* const from = node_named(test.from);
  const Member* const to = node_named(test.to);
  if (from == nullptr || to == nullptr || from == to) {
    std::vector<std::string> names;
    for (const auto& [id, member] : members_) {
      if (member.registered) names.push_back(member.credential.name);
    }
    return Error{Code::kUsage, "line between " + test.from + " and " + test.to,
                 "two different nodes that have registered are needed; there are: " + join(names)};
  }
  const bool near = from->credential.datacenter == to->credential.datacenter;
  if (to->dialable == Reach::kNowhere || (to->dialable == Reach::kDatacenter && !near)) {
    return Error{Code::kUsage, "line between " + test.from + " and " + test.to,
                 test.to + " cannot be dialled by " + test.from +
                     "; measure the other way, or each to the node that relays between them"};
  }
  const bool busy = std::ranges::any_of(
      line_tests_, [&test](const auto& entry) { return entry.second.from.name == test.from; });
  if (busy) {
    return Error{Code::kUsage, "node " + test.from,
                 "measures a line already; try again when that is over"};
  }
  const std::uint64_t ticket = next_ticket_++;
  line_tests_[ticket] = {client, from->credential, to->credential, test.streams};
  node::ProbeLine probe{
      ticket,
      {test.to, to->host, to->port, to_bytes(to->credential.noise_key), 1, test.congestion},
      test.streams,
      test.seconds};
  send(*from, node::probe_line_message(probe));
  return {};
}

Status Service::line_measured(const Member& member, const node::LineResult& result) {
  const auto found = line_tests_.find(result.ticket);
  // It was forgotten while the node was out of reach.
  if (found == line_tests_.end() && result.ticket > 0 && result.ticket < next_ticket_) return {};
  if (found == line_tests_.end() || found->second.from.name != member.credential.name) {
    return Error{Code::kProto, member.credential.name, "measured a line that nobody asked about"};
  }
  if (result.report.ok()) {
    const bool asked =
        std::ranges::equal(result.report->trials, found->second.streams, {}, &link::Trial::streams);
    if (!asked) return Error{Code::kProto, member.credential.name, "measured something else"};
  }
  const LineTest test = line_tests_.extract(found).mapped();
  if (const auto client = members_.find(test.client); client != members_.end()) {
    send(client->second, node::line_result_message({result.ticket, result.report,
                                                    test.from.datacenter, test.to.datacenter}));
  }
  if (!result.report.ok()) return {};
  const topology::Line line{.from = test.from.datacenter,
                            .to = test.to.datacenter,
                            .rate = std::max(1.0, result.report->best().rate),
                            .round_trip = result.report->round_trip,
                            .streams = result.report->best().streams};
  use_line(line);
  return store_->set_line(line);
}

void Service::forget_line_tests(const std::string& node, const Error& why) {
  for (auto test = line_tests_.begin(); test != line_tests_.end();) {
    if (test->second.from.name != node) {
      ++test;
      continue;
    }
    if (const auto client = members_.find(test->second.client); client != members_.end()) {
      const Error lost{Code::kPeerLost, "node " + node, "lost while it measured: " + why.what};
      send(client->second, node::line_result_message({test->first, lost}));
    }
    test = line_tests_.erase(test);
  }
}

}  // namespace reef::service
