#pragma once
// Puts a plan together edge by edge. The order of connect() calls is the order of ports.

#include <span>
#include <string>

#include "ops/codec/power_sgd.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/execution.h"
#include "scheduler/plan/plan.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

struct Join {
  std::string name;
  ActRef from;
  ActRef to;
  Content content = Content::kActivation;
  std::uint32_t tokens = 1;
  std::uint32_t slots = 1;
  std::uint32_t initial = 0;
  std::uint64_t bytes = 0;
  ops::DType dtype = ops::DType::kF32;
  std::string rounding = {};  ///< codec that the producer applies before giving away
  std::span<const codec::Matrix> parts = {};  ///< of a message, for codecs that ask
};

Node plan_node(const topology::Node& node);

class Builder {
 public:
  /// Both outlive the builder.
  Builder(const job::Job& job, const topology::Topology& topology);

  /// `actor` without id and acts; the name is unique.
  ActorId add(Actor actor);
  ActRef add_act(ActorId actor, std::string name, std::uint32_t firings = 1,
                 std::int32_t priority = 0);

  /// One edge, or value edge, sender, wire edge, receiver and value edge when the ends are on
  /// different nodes.
  void connect(const Join& join);

  /// What wire edges with this content are encoded with.
  std::string codec_of(Content content) const;
  NodeIndex node_of(ActRef ref) const { return plan_.actors[ref.actor].node; }

  Plan& plan() { return plan_; }

 private:
  void edge(const Join& join, const std::string& name, ActRef from, ActRef to, std::uint32_t slots,
            std::uint32_t initial, const topology::Line* wire);
  void split(const Join& join);
  ActRef add_carrier(ActorKind kind, const Join& join, ActorId end);
  topology::Line line_between(ActRef from, ActRef to) const;
  double ratio_of(const Join& join, const topology::Line& line) const;
  std::uint32_t wire_slots(const Join& join, const topology::Line& line) const;

  const job::Job& job_;
  const topology::Topology& topology_;
  Plan plan_;
};

}  // namespace reef::plan
