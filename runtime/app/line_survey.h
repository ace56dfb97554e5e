#pragma once
// Measuring lines through a running cluster: which nodes to ask, and the asking.

#include <span>
#include <string>
#include <vector>

#include "runtime/app/client.h"
#include "scheduler/topology/topology.h"

namespace reef::app {

/// A line and two nodes that can measure it.
struct LineEnds {
  std::string from_datacenter, to_datacenter;  ///< the same twice: within a datacenter
  std::string from, to;  ///< nodes, `to` can be dialled by `from`; empty: there are no such two
};

/// Every pair of datacenters, then every datacenter with two nodes or more, in order of the
/// topology; of each the first two nodes that serve.
std::vector<LineEnds> lines_to_measure(const topology::Topology& topology);

/// Asks the cluster and waits; lines are measured one at a time, so that they do not disturb each
/// other. kTimedOut when no answer comes in the time that the trials need.
Result<node::LineResult> test_line(Client& client, const node::TestLine& test);

/// What the lines between these datacenters give now, in short trials, as lines of a topology; the
/// scheduler keeps them, too. Those that nobody can measure are left out. Failure: test_line()'s,
/// or a trial's.
Result<std::vector<topology::Line>> survey(Client& client, const topology::Topology& topology);

/// "{between: [east, west], rate: 98.1Mbit/s, roundTrip: 20100us, streams: 8}": as a topology says
/// it.
std::string line_text(const std::string& a, const std::string& b, const link::LineReport& report);

}  // namespace reef::app
