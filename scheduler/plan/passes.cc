#include "scheduler/plan/passes.h"

namespace reef::plan {

bool is_forward(Pass pass) {
  return pass == Pass::kForward || pass == Pass::kForwardOpen || pass == Pass::kForwardAttend;
}

bool is_meeting(Pass pass) { return pass == Pass::kForwardAttend || pass == Pass::kBackwardAttend; }

Passes::Passes(LayerRange layers, bool ends, std::uint32_t ranks, std::uint32_t context)
    : layers_(layers), ends_(ends), by_layer_(ranks > 1 || context > 1), in_rings_(context > 1) {}

LayerRange Passes::layers(std::uint32_t segment) const {
  if (!by_layer_) return layers_;
  return {layers_.first + segment, layers_.first + segment + 1};
}

bool Passes::is_ring(std::uint32_t segment) const {
  const std::uint32_t layer = layers_.first + segment;
  const bool head = ends_ && layer + 1 == layers_.last;
  return in_rings_ && layer % 2 == 1 && !head;
}

std::uint64_t Passes::rings() const {
  if (!in_rings_ || layers_.first == layers_.last) return 0;
  const std::uint64_t odd = layers_.last / 2 - layers_.first / 2;
  return odd - (ends_ && layers_.last % 2 == 0 ? 1 : 0);
}

std::vector<PassAct> Passes::acts() const {
  std::vector<PassAct> acts;
  acts.reserve(count());
  const auto add = [&](std::uint32_t segment, Pass plain, std::initializer_list<Pass> ring) {
    if (!is_ring(segment)) return acts.push_back({plain, segment});
    for (const Pass pass : ring) acts.push_back({pass, segment});
  };
  for (std::uint32_t i = 0; i < segments(); ++i)
    add(i, Pass::kForward, {Pass::kForwardOpen, Pass::kForwardAttend});
  for (std::uint32_t i = 0; i < segments(); ++i)
    add(i, Pass::kBackward, {Pass::kBackwardClose, Pass::kBackwardAttend, Pass::kBackwardOpen});
  return acts;
}

Passes passes_of(const Plan& plan, const Actor& actor) {
  return Passes({actor.first_layer, actor.last_layer}, actor.stage + 1 == plan.stages, plan.ranks,
                plan.context);
}

}  // namespace reef::plan
