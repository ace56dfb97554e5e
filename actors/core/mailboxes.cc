#include "actors/core/mailboxes.h"

namespace reef::actors {

std::size_t mailbox_bound(const plan::Plan& plan, const plan::Actor& actor) {
  constexpr std::size_t kOwn = 4;  // done or started; begin, hold, release
  std::size_t bound = kOwn;
  for (const plan::Act& act : actor.acts) {
    for (const auto* ports : {&act.inputs, &act.outputs}) {
      for (const Port& port : *ports) {
        const plan::Edge& edge = plan.edges[port.edge];
        if (edge.producer != edge.consumer) bound += edge.slots;
      }
    }
  }
  return bound;
}

void Mailboxes::note(const std::string& actor, std::size_t waiting, std::size_t bound) {
  const std::lock_guard lock(mutex_);
  // Of two as near the first, so that nothing that waited says nothing.
  if (waiting * fullest_.bound <= fullest_.waiting * bound && !fullest_.actor.empty()) return;
  fullest_ = {actor, waiting, bound};
}

Mailboxes::Fullest Mailboxes::fullest() const {
  const std::lock_guard lock(mutex_);
  return fullest_;
}

}  // namespace reef::actors
