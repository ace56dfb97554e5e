#pragma once
// The machines a job may use and the slow lines between their datacenters. Pure data.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/reach.h"
#include "scheduler/topology/device.h"

namespace reef::topology {

inline constexpr std::size_t kMostNodes = 1 << 16;

struct Node {
  std::string name;  ///< unique in the topology
  std::string datacenter;
  std::uint64_t memory = 0;  ///< bytes that a job may use where its device computes
  std::uint32_t threads = 1;
  std::string address = "127.0.0.1";
  Reach dialable = Reach::kAnywhere;
  bool relay_only = false;  ///< it passes bytes on between others and gets no part of the model
  std::string ucx = {};     ///< what it offers to its datacenter, "shm,mlx5_0:1"; empty: nothing
  Device device = {};
  bool operator==(const Node&) const = default;
};

/// What joins two places: the line between two datacenters, or, where both are the same, what every
/// two nodes of a datacenter have.
struct Line {
  std::string from, to;  ///< datacenters; a line works both ways
  double rate = 10e9;    ///< bits per second
  Duration round_trip = std::chrono::microseconds(100);
  std::uint16_t streams = 0;    ///< connections for data between two nodes; 0: see data_streams()
  std::string congestion = {};  ///< congestion control of their sockets; empty: the system's
  bool operator==(const Line&) const = default;
};

struct Topology {
  std::string name;
  std::vector<Node> nodes;  ///< datacenter by datacenter, in the order of the file
  std::vector<Line> lines;
  bool operator==(const Topology&) const = default;
};

/// Reads and validates a `kind: Topology` descriptor, with errors like read_job's. Every pair of
/// datacenters must have a line. An entry with a count stands for as many nodes, name-0, name-1,
/// ...; kMostNodes in all.
Result<Topology> read_topology(const std::string& path);
Result<Topology> parse_topology(std::string_view yaml, const std::string& file);

/// What is written, else on a line with a round trip of 5 ms or more (one connection halves its
/// window for each lost packet and takes many round trips to grow back) as many as need to have 64
/// KiB under way each, at most 8 (on a slow line more would only starve one another), else 1.
std::uint16_t data_streams(const Line& line);

/// What of it a job may use: the nodes of these datacenters and the lines between them; all, if
/// none is named. kNoFit for one that is not there.
Result<Topology> within(const Topology& topology, const std::vector<std::string>& datacenters);

/// The line between two datacenters; inside one that says nothing, the default Line above.
Line line_between(const Topology& topology, std::string_view from, std::string_view to);

}  // namespace reef::topology
