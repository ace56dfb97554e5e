#pragma once
// A plan played in virtual time: what a step takes, who works meanwhile and who waits, before a
// machine is rented. The acts fire by the rule that actors fire by (runtime/base/firing.h), so that
// the order of what happens is the plan's own; only the times are a model:
//
//   node   two streams, as actors have them. Each runs one act at a time, the most urgent that
//          waits; an actor submits one act at a time, its most urgent first. Times: act_seconds().
//   line   one message at a time in each direction, the most urgent lane first. All nodes of two
//          datacenters share their line; within a datacenter every two nodes have one.
//   wire   a message and its credit each take half a round trip more.
//
// Pure: the same plan gives the same times on every machine.

#include <functional>
#include <string>
#include <vector>

#include "ops/nn/spec.h"
#include "scheduler/plan/plan.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

struct NodeUse {
  double compute = 0;  ///< share of a step in which its compute stream works
  double io = 0;       ///< the same of its io stream
  double bubble = 0;   ///< share of the time from the job's first forward of a step to its last
                       ///< backward in which no layer of this node works; 1 without layers
  std::uint64_t memory = 0;  ///< bytes of states, registers and stashes
};

/// One direction of a line.
struct LineUse {
  std::string from, to;  ///< datacenters, or two nodes of one datacenter
  bool wide = false;     ///< between datacenters
  double bytes = 0;      ///< of a step, encoded
  double busy = 0;       ///< share of a step
};

struct Forecast {
  double step_seconds = 0;     ///< in steady state: of rounds with one before and one after them
  std::uint64_t firings = 0;   ///< that were played
  std::vector<NodeUse> nodes;  ///< as Plan::nodes
  std::vector<LineUse> lines;  ///< those that carry something, in order of their first edge
};

/// One act on a stream or one message on a line.
struct Span {
  enum class On { kCompute, kIo, kLine };
  On on;
  std::uint32_t place;   ///< a node; a line, as in Forecast::lines
  const Act* act;        ///< of a message: the act that sent it
  const Actor* actor;    ///< the same
  std::uint64_t firing;  ///< of the act; of a message: its number
  double start, seconds;
};
/// Hears spans in order of their start.
using SpanSink = std::function<void(const Span&)>;

/// Plays `rounds` training rounds (at least 1; below 3 there is none in steady state, and the last
/// stands for it). `tokens` of one micro-batch. Precondition:
/// prove_live(plan) is ok, `spec` is the model of its job.
Forecast simulate(const Plan& plan, const topology::Topology& topology, const nn::ModelSpec& spec,
                  std::uint64_t tokens, std::uint64_t rounds = 3, const SpanSink& sink = nullptr);

}  // namespace reef::plan
