#include "scheduler/plan/execution.h"

namespace reef::plan {

Execution::Execution(const Plan& plan, std::uint64_t rounds) : plan_(plan), rounds_(rounds) {
  for (const Edge& edge : plan.edges) {
    edges_.push_back({edge.initial, edge.slots > edge.initial ? edge.slots - edge.initial : 0});
  }
  std::size_t acts = 0;
  for (const Actor& actor : plan.actors) {
    first_.push_back(acts);
    acts += actor.acts.size();
  }
  fired_.assign(acts, 0);
}

bool Execution::exhausted(ActRef ref) const { return fired(ref) >= rounds_ * act(ref).firings; }

bool Execution::ready(ActRef ref) const {
  if (exhausted(ref)) return false;
  return may_fire(act(ref).inputs, act(ref).outputs, fired(ref),
                  [this](std::uint32_t edge) { return edges_[edge]; });
}

std::uint64_t Execution::start(ActRef ref) {
  const std::uint64_t firing = fired_[first_[ref.actor] + ref.act]++;
  for (const Port& input : act(ref).inputs) {
    if (takes_token(input, firing)) --edges_[input.edge].readable;
  }
  for (const Port& output : act(ref).outputs) {
    if (makes_token(output, firing)) --edges_[output.edge].free;
  }
  return firing;
}

void Execution::return_slots(ActRef ref, std::uint64_t firing) {
  for (const Port& input : act(ref).inputs) {
    if (returns_slot(input, firing)) ++edges_[input.edge].free;
  }
}

void Execution::make_tokens(ActRef ref, std::uint64_t firing) {
  for (const Port& output : act(ref).outputs) {
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
