#include "actors/core/crew.h"

#include <caf/actor_system_config.hpp>

#include "rig.h"
#include "runtime/device/cpu.h"

namespace reef::actors {
namespace {

TEST(Crew, RefusesLayersThatTheModelDoesNotHave) {
  Rig rig(tiny_job(1, 2));
  caf::actor_system_config config;
  caf::actor_system system(config);
  device::InlineStream stream;
  const CrewSite site{system, stream, stream, system_clock(), nullptr};
  for (const auto& [first, last] : {std::pair{0u, 7u}, {3u, 3u}, {4u, 2u}}) {
    plan::Plan plan = rig.plan;
    for (plan::Actor& actor : plan.actors) {
      if (actor.kind != plan::ActorKind::kOptimizer) continue;
      actor.first_layer = first;
      actor.last_layer = last;
      break;
    }
    const auto crew = make_crew(site, {plan, 0, rig.events, rig.wire, "run"});
    ASSERT_FALSE(crew.ok());
    EXPECT_EQ(crew.error().text(),
              "E_PROTO: optimizer/r0/s0: holds layers that the model does not have");
  }
}

}  // namespace
}  // namespace reef::actors
