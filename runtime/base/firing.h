#pragma once
// The pure firing rule of Atoll's dataflow: when may an act run, and what does running it take and
// give. Actors, the plan's liveness proof and the simulator all ask this one file, so that what was
// proved is what runs.
//
// A plan is integer-rate dataflow. In each round (one training or evaluation step) an act fires a
// fixed number of times and an edge carries a fixed number of tokens. When an act fires more often
// than its edge carries tokens, consecutive firings form a group that shares one token: an input
// token is taken by the group's first firing and its slot is given back by the last; an output
// token is made by the last.
//
//   forward fires 4 times a round, `weights` carries 1 token: taken by firing 0, given back by
//   firing 3. backward fires 4 times a round, `gradients` carries 1 token: made by firing 3.

#include <cstdint>
#include <span>

namespace reef {

/// One end of an edge as its act sees it.
struct Port {
  std::uint32_t edge = 0;
  std::uint32_t group = 1;  ///< firings that share one token; at least 1
};

/// Readable tokens and free slots of one edge. The invariant: readable + free + (slots in use by a
/// running or grouped act) = the edge's slot count.
struct EdgeState {
  std::uint32_t readable = 0;
  std::uint32_t free = 0;
};

inline bool takes_token(const Port& input, std::uint64_t firing) {
  return firing % input.group == 0;
}
inline bool returns_slot(const Port& input, std::uint64_t firing) {
  return firing % input.group == input.group - 1;
}
inline bool makes_token(const Port& output, std::uint64_t firing) {
  return firing % output.group == output.group - 1;
}

/// True when firing number `firing` of an act may start: each input that takes a token has one
/// readable, each output that makes a token has a free slot. `state(edge)` returns the EdgeState of
/// that edge.
template <typename StateOf>
bool may_fire(std::span<const Port> inputs, std::span<const Port> outputs, std::uint64_t firing,
              StateOf&& state) {
  for (const Port& input : inputs) {
    if (takes_token(input, firing) && state(input.edge).readable == 0) return false;
  }
  for (const Port& output : outputs) {
    if (makes_token(output, firing) && state(output.edge).free == 0) return false;
  }
  return true;
}

}  // namespace reef
