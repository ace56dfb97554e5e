#include "scheduler/plan/live.h"

#include "samples.h"

namespace reef::plan {
namespace {

TEST(ProveLive, ShowsTheCycleOfAMissingFirstToken) {
  Plan plan = sample_plan(1, 1, 1);
  edge_named(plan, "weights.r0.s0").initial = 0;
  const Status status = prove_live(plan);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().text(),
            "E_JOB_GRAPH: sample: the plan would lock up: "
            "layers/r0/s0.forward waits for a token on weights.r0.s0 from optimizer/r0/s0.update; "
            "optimizer/r0/s0.update waits for a token on held.r0.s0 from optimizer/r0/s0.measure; "
            "optimizer/r0/s0.measure waits for a token on reduced.r0.s0 from sync/r0/s0.offer; "
            "sync/r0/s0.offer waits for a token on gradients.r0.s0 from layers/r0/s0.backward; "
            "layers/r0/s0.backward waits for a token on logits-gradient.r0 from layers/r0/s0.loss; "
            "layers/r0/s0.loss waits for a token on logits.r0 from layers/r0/s0.forward; "
            "layers/r0/s0.forward closes the cycle");
}

TEST(ProveLive, ShowsAnEdgeWithoutSlots) {
  Plan plan = sample_plan(2, 2, 2);
  edge_named(plan, "stash.r0.s0").slots = 0;
  const Status status = prove_live(plan);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kJobGraph);
  EXPECT_NE(status.error().what.find("waits for one of the 0 slots of stash.r0.s0"),
            std::string::npos)
      << status.error().what;
  EXPECT_NE(status.error().what.find("closes the cycle"), std::string::npos);
}

}  // namespace
}  // namespace reef::plan
