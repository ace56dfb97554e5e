#pragma once
// The steps of a gradient sync where replicas do not share the optimizer's state out. Replicas of
// one datacenter add up whole gradients; over the line between datacenters each of them sends a
// strip of the sum only, a run of every gradient's rows, and then they show each other their
// strips: a sum crosses once a datacenter, not once a replica. Planner, sync and checkpointer agree
// through this. Pure.

#include <bit>
#include <cstdint>
#include <vector>

#include "ops/codec/power_sgd.h"
#include "scheduler/plan/plan.h"
#include "scheduler/plan/strips.h"

namespace reef::plan {

/// Act 0 offers, acts 1 to `exchanges` add up what the partner at distance 1, 2, 4, ... offered,
/// and `near` more join strips. All but the last give something away.
struct SyncSteps {
  std::uint32_t exchanges = 0;
  /// Of these the first, within datacenters; 0 where all are, or none: then there are no strips.
  std::uint32_t near = 0;

  std::uint32_t acts() const { return 1 + exchanges + near; }
  std::uint32_t strips() const { return 1u << near; }
  std::uint32_t own(std::uint32_t replica) const { return replica % strips(); }
  bool joins(std::uint32_t act) const { return act > exchanges; }
  /// Of the replica that an act gives to.
  std::uint32_t distance(std::uint32_t act) const {
    return 1u << (act < exchanges ? act : act - exchanges);
  }
  /// The strips that an act gives away and keeps.
  Strip given(std::uint32_t replica, std::uint32_t act) const {
    if (near == 0 || act < near) return {0, strips()};
    if (act < exchanges) return {own(replica), 1};
    return {first_held(own(replica), act - exchanges), std::uint64_t{1} << (act - exchanges)};
  }
  /// The first of the replicas that have the same sum when an act gives it away.
  std::uint32_t first_alike(std::uint32_t replica, std::uint32_t act) const {
    return (replica >> act << act) + (near > 0 && act >= near ? own(replica) : 0);
  }
};

inline SyncSteps sync_steps(const Plan& plan, const Actor& sync) {
  const auto exchanges = static_cast<std::uint32_t>(std::bit_width(plan.replicas) - 1);
  const auto acts = static_cast<std::uint32_t>(sync.acts.size());
  return {exchanges, acts > 1 + exchanges ? acts - 1 - exchanges : 0};
}

/// The rows of a gradient that are in these of `strips`: of a matrix its rows, of all else, which
/// is one row, its elements.
inline Strip lines_of(const codec::Matrix& gradient, std::uint32_t strips, Strip held) {
  return strip_of(gradient.rows > 1 ? gradient.rows : gradient.columns, strips,
                  static_cast<std::uint32_t>(held.first), static_cast<std::uint32_t>(held.count));
}

/// What of a gradient is in these of `strips`; of no elements where it is too small.
inline codec::Matrix part_of(const codec::Matrix& gradient, std::uint32_t strips, Strip held) {
  const std::size_t lines = lines_of(gradient, strips, held).count;
  return gradient.rows > 1 ? codec::Matrix{lines, gradient.columns} : codec::Matrix{1, lines};
}

/// Of all of them, those that are of any elements.
inline std::vector<codec::Matrix> parts_of(const std::vector<codec::Matrix>& gradients,
                                           std::uint32_t strips, Strip held) {
  std::vector<codec::Matrix> parts;
  for (const codec::Matrix& gradient : gradients) {
    const codec::Matrix part = part_of(gradient, strips, held);
    if (part.elements() > 0) parts.push_back(part);
  }
  return parts;
}

}  // namespace reef::plan
