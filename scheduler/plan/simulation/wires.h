#pragma once
// The lines of a simulation and the messages that wait for them. Knows nothing of time: who plays
// says when a message has passed.

#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "scheduler/plan/simulate.h"

namespace reef::plan {

/// What a wire edge is to its line.
struct Wire {
  std::uint32_t line = 0;
  double bytes = 0;
  double seconds = 0;      ///< that a message occupies it
  double way = 0;          ///< from end to end
  std::uint64_t sent = 0;  ///< messages
};

class Wires {
 public:
  /// Appends to `lines` those that carry something, in order of their first edge.
  Wires(const Plan& plan, const topology::Topology& topology, std::vector<LineUse>& lines);

  Wire& of(EdgeId edge) { return wires_[wire_of_[edge]]; }

  /// A message of `edge` waits for its line, which is returned. `order` is of the cause: of two
  /// that are as urgent the lower goes first.
  std::uint32_t wait(EdgeId edge, std::uint64_t order);
  /// The most urgent message begins to pass, if the line is free and there is one.
  std::optional<EdgeId> begin(std::uint32_t line);
  /// What passed is through, and the line is free.
  EdgeId end(std::uint32_t line);

 private:
  struct Message {
    std::uint32_t urgency;
    std::uint64_t order;
    EdgeId edge;
    bool operator>(const Message& other) const;
  };
  struct Line {
    std::priority_queue<Message, std::vector<Message>, std::greater<>> waiting;
    bool busy = false;
    EdgeId carries = 0;
  };

  void add(const Plan& plan, const Edge& edge, const topology::Topology& topology,
           std::vector<LineUse>& lines);

  std::vector<std::uint32_t> wire_of_;  ///< of a wire edge, in wires_
  std::vector<std::uint32_t> urgency_;  ///< of each edge
  std::vector<Wire> wires_;
  std::vector<Line> lines_;
  std::unordered_map<std::string, std::uint32_t> line_of_;
};

}  // namespace reef::plan
