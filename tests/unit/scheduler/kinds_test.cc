#include "scheduler/plan/kinds.h"

#include <sstream>

#include "samples.h"
#include "scheduler/plan/act_cost.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/print.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

/// Nodes of the sample, the last of them with another kind of device.
topology::Topology mixed_topology(std::uint32_t nodes) {
  topology::Topology topology = sample_topology(nodes);
  topology.nodes.back().device.name = {"cuda", 0};
  topology.nodes.back().device.speed = 50e9;
  return topology;
}

TEST(Kinds, MixedPlansDoNotPromiseBits) {
  const Plan plan = make_plan(sample_job(1, 2), mixed_topology(2)).value();
  EXPECT_FALSE(is_of_one_kind(plan));
  EXPECT_FALSE(plan.reproducible);
  std::ostringstream text;
  print_plan(plan, text);
  EXPECT_NE(text.str().find("no: devices of several kinds compute"), std::string::npos);

  topology::Topology alike = mixed_topology(2);
  alike.nodes.front().device = alike.nodes.back().device;
  EXPECT_TRUE(make_plan(sample_job(1, 2), alike)->reproducible);
}

TEST(Kinds, CopiesThatWouldDriftApartAreRefused) {
  job::Job job = sample_job(2, 1);
  const auto refused = make_plan(job, mixed_topology(2));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kNoFit);
  EXPECT_NE(refused.error().what.find("add zero_stage: 1"), std::string::npos);

  job.parallelism.zero_stage = 1;
  EXPECT_TRUE(make_plan(job, mixed_topology(2)).ok());

  job = sample_job(1, 1);
  job.parallelism.tp = 2;
  topology::Topology near = mixed_topology(2);
  for (topology::Node& node : near.nodes) node.datacenter = "east";
  const auto ranks = make_plan(job, near);
  ASSERT_FALSE(ranks.ok());
  EXPECT_NE(ranks.error().what.find("ranks must be on devices of one kind"), std::string::npos);
}

TEST(Kinds, AutoChoosesAmongWhatDoesNotDrift) {
  job::Job job = sample_job(1, 1);
  job.parallelism.mode = job::Parallelism::Mode::kAuto;
  const Plan plan = make_plan(job, mixed_topology(2)).value();
  EXPECT_EQ(problem_of_kinds(plan), "");
}

TEST(Kinds, MemoryIsCountedWhereItIs) {
  const Plan alike = make_plan(sample_job(1, 2), sample_topology(2)).value();
  for (const NodeMemory& node : memory_by_device(alike)) EXPECT_EQ(node.host, 0u);
  const Plan mixed = make_plan(sample_job(1, 2), mixed_topology(2)).value();
  const NodeMemory there = memory_by_device(mixed).back();
  std::uint64_t device = 0, host = 0;
  for (const Actor& actor : mixed.actors) {
    if (actor.node == 1) (computes(actor.kind) ? device : host) += actor.state_bytes;
  }
  for (const Edge& edge : mixed.edges) {
    const Actor &from = mixed.actors[edge.producer], &to = mixed.actors[edge.consumer];
    const std::uint64_t bytes = edge.bytes * edge.slots;
    bool on_device = false, on_host = false;
    for (const Actor* end : {&from, &to}) {
      if (end->node == 1) (computes(end->kind) ? on_device : on_host) = true;
    }
    device += on_device ? bytes : 0;
    host += on_host ? bytes : 0;
  }
  EXPECT_EQ(there.device, device);
  EXPECT_EQ(there.host, host);
  EXPECT_GT(host, 0u);
}

TEST(Kinds, OnlyTheDevicesMemoryIsLimited) {
  topology::Topology topology = mixed_topology(2);
  const Plan plan = make_plan(sample_job(1, 2), topology).value();
  const NodeMemory needed = memory_by_device(plan).back();
  topology.nodes.back().memory = needed.device;
  EXPECT_TRUE(make_plan(sample_job(1, 2), topology).ok());
  topology.nodes.back().memory = needed.device - 1;
  const auto refused = make_plan(sample_job(1, 2), topology);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kNoFit);
}

TEST(Kinds, APlanWithANameThatIsNoneIsBroken) {
  Plan plan = make_plan(sample_job(1, 2), mixed_topology(2)).value();
  for (const DeviceName& name : {DeviceName{"../x", 0}, DeviceName{"", 0}, DeviceName{"cpu", 1}}) {
    plan.nodes[0].device.name = name;
    EXPECT_EQ(validate(plan).error().code, Code::kProto);
  }
}

}  // namespace
}  // namespace reef::plan
