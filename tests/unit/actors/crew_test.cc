#include "actors/core/crew.h"

#include <algorithm>
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

TEST(Crew, RefusesAnotherDeviceThanItsSites) {
  Rig rig(tiny_job(1, 1));
  caf::actor_system_config config;
  caf::actor_system system(config);
  device::InlineStream stream;
  const CrewSite site{system, stream, stream, system_clock(), nullptr};
  plan::Plan plan = rig.plan;
  plan.nodes[0].device.name = {"cuda", 1};
  const auto crew = make_crew(site, {plan, 0, rig.events, rig.wire, "run"});
  ASSERT_FALSE(crew.ok());
  EXPECT_EQ(crew.error().text(),
            "E_USAGE: node node-0: is to compute on cuda:1, but was started for cpu; start it with "
            "--device cuda:1");
}

TEST(Crew, RefusesContextsThatTheModelOrItsSequencesDoNotHave) {
  job::Job job = tiny_job(1, 2);
  job.parallelism.cp = 2;
  Rig rig(job);
  caf::actor_system_config config;
  caf::actor_system system(config);
  device::InlineStream stream;
  const CrewSite site{system, stream, stream, system_clock(), nullptr};
  const auto text = [&](const plan::Plan& plan) {
    const auto crew = make_crew(site, {plan, 0, rig.events, rig.wire, "run"});
    EXPECT_FALSE(crew.ok());
    return crew.ok() ? std::string() : crew.error().text();
  };
  plan::Plan plan = rig.plan;
  plan.context = 8;
  EXPECT_NE(text(plan).find("E_PROTO: plan: a sequence of 8 tokens cannot be cut"),
            std::string::npos);
  plan = rig.plan;
  plan::Actor& shard =
      *std::ranges::find(plan.actors, plan::ActorKind::kLayerShard, &plan::Actor::kind);
  shard.stage = 1;  // whose last layer would be the head
  shard.last_layer = 4;
  EXPECT_EQ(text(plan), "E_PROTO: layers/r0/s0: is not cut where the model has its attention");
}

}  // namespace
}  // namespace reef::actors
