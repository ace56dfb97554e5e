#pragma once
// What the ranks of a collective say to each other, as pure data: so that one executor runs every
// algorithm, one checker proves them, and the planner knows what crosses which line before a byte
// does.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace reef::collectives {

using Rank = std::uint32_t;

/// Elements [begin, end) of a rank's buffer.
struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t size() const { return end - begin; }
  bool overlaps(const Range& other) const { return begin < other.end && other.begin < end; }
  bool operator==(const Range&) const = default;
};

/// The part with this number when a range is cut into `parts` of sizes that differ by one at most.
Range part_of(Range range, std::uint64_t parts, std::uint64_t number);

enum class Action : std::uint8_t {
  kPut,       ///< the receiver's elements are replaced
  kAdd,       ///< they become own + received
  kExchange,  ///< two messages: each sends its elements as they were and adds what it receives
};

/// One message, or for kExchange one each way. The sender's elements are as its earlier steps have
/// left them.
struct Step {
  Rank from = 0;
  Rank to = 0;
  Range source;              ///< of the sender's buffer
  std::uint64_t target = 0;  ///< where it begins in the receiver's
  Action action = Action::kPut;
  Range destination() const { return {target, target + source.size()}; }
  bool operator==(const Step&) const = default;
};

/// Each rank does the steps it has a part in in the order of the list, except that a step waits for
/// no earlier one that touches other elements: so chunks follow each other through the algorithm
/// like micro-batches through a pipeline. In the order of the list every step finds what it needs.
struct Schedule {
  std::string algorithm;  ///< "ring", "halving", ...
  Rank world = 1;
  std::vector<std::uint64_t> elements;  ///< of each rank's buffer
  /// Every element of the result is added up along one balanced tree over the ranks, whatever the
  /// algorithm: two of these give the same bits, and so does any aligned regrouping of the ranks
  /// (leaf_tree.h).
  bool reproducible = false;
  std::vector<Step> steps;
};

/// The steps in which a rank has a part, in order.
std::vector<Step> steps_of(const Schedule& schedule, Rank rank);

/// Elements that a rank sends to another in all steps together.
std::uint64_t elements_between(const Schedule& schedule, Rank from, Rank to);

/// Whether it is a schedule at all: ranks that exist, ranges inside the buffers, nobody who sends
/// to himself or nothing. Failure: kInternal, naming the step.
Status check(const Schedule& schedule);

}  // namespace reef::collectives
