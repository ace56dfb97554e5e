#include "scheduler/plan/segments.h"

namespace reef::plan {

Segments::Segments(LayerRange layers, const Buckets& buckets, bool ends, std::uint32_t ranks,
                   std::uint32_t context, bool in_turn)
    : layers_(layers),
      buckets_(buckets),
      ends_(ends),
      by_layer_(ranks > 1 || context > 1),
      context_(context),
      in_turn_(in_turn) {}

LayerRange Segments::layers(std::uint32_t segment) const {
  if (in_turn_) return layers_;
  if (!by_layer_) return buckets_.layers(segment);
  return {layers_.first + segment, layers_.first + segment + 1};
}

bool Segments::is_ring(std::uint32_t segment) const {
  const std::uint32_t layer = layers_.first + segment;
  const bool head = ends_ && layer + 1 == layers_.last;
  return context_ > 1 && layer % 2 == 1 && !head;
}

Segments segments_of(const Plan& plan, const Actor& actor) {
  return Segments({actor.first_layer, actor.last_layer}, buckets_of(plan, actor),
                  actor.stage + 1 == plan.stages, plan.ranks, plan.context, plan.shares_weights);
}

}  // namespace reef::plan
