#include "scheduler/plan/execution.h"

namespace reef::plan {

Execution::Execution(const Plan& plan, std::uint64_t rounds) : plan_(plan) {
  edges_.reserve(plan.edges.size());
  for (const Edge& edge : plan.edges) {
    edges_.push_back({edge.initial, edge.slots > edge.initial ? edge.slots - edge.initial : 0});
  }
  first_.reserve(plan.actors.size());
  for (const Actor& actor : plan.actors) {
    first_.push_back(static_cast<std::uint32_t>(acts_.size()));
    for (const Act& from : actor.acts) {
      PlayedAct& to = acts_.emplace_back();
      to.most = rounds * from.firings;
      to.inputs = static_cast<std::uint32_t>(ports_.size());
      ports_.insert(ports_.end(), from.inputs.begin(), from.inputs.end());
      to.outputs = static_cast<std::uint32_t>(ports_.size());
      ports_.insert(ports_.end(), from.outputs.begin(), from.outputs.end());
      to.end = static_cast<std::uint32_t>(ports_.size());
    }
  }
}

bool Execution::exhausted(ActRef ref) const { return act(ref).fired >= act(ref).most; }

bool Execution::ready(ActRef ref) const {
  const PlayedAct& played = act(ref);
  if (played.fired >= played.most) return false;
  return may_fire(inputs(played), outputs(played), played.fired,
                  [this](std::uint32_t edge) { return edges_[edge]; });
}

std::uint64_t Execution::start(ActRef ref) {
  PlayedAct& played = acts_[first_[ref.actor] + ref.act];
  const std::uint64_t firing = played.fired++;
  for (const Port& input : inputs(played)) {
    if (takes_token(input, firing)) --edges_[input.edge].readable;
  }
  for (const Port& output : outputs(played)) {
    if (makes_token(output, firing)) --edges_[output.edge].free;
  }
  return firing;
}

void Execution::return_slots(ActRef ref, std::uint64_t firing) {
  for (const Port& input : inputs(act(ref))) {
    if (returns_slot(input, firing)) ++edges_[input.edge].free;
  }
}

void Execution::make_tokens(ActRef ref, std::uint64_t firing) {
  for (const Port& output : outputs(act(ref))) {
    if (makes_token(output, firing)) ++edges_[output.edge].readable;
  }
}

bool Execution::complete() const {
  for (const Actor& actor : plan_.actors) {
    for (std::uint32_t i = 0; i < actor.acts.size(); ++i) {
      if (!exhausted({actor.id, i})) return false;
    }
  }
  for (const Edge& edge : plan_.edges) {
    const EdgeState& now = edges_[edge.id];
    if (now.readable != edge.initial || now.free != edge.slots - edge.initial) return false;
  }
  return true;
}

}  // namespace reef::plan
