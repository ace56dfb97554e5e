#pragma once
// Jobs and topologies that tests vary.

#include <gtest/gtest.h>

#include <string>

#include "scheduler/job/job.h"
#include "scheduler/plan/make_plan.h"
#include "scheduler/topology/topology.h"

namespace reef {

/// Sixteen lines that a test damages one at a time.
inline std::string sample_yaml() {
  return "apiVersion: atoll.dev/v1\n"          // 1
         "kind: TrainingJob\n"                 // 2
         "metadata:\n"                         // 3
         "  name: sample\n"                    // 4
         "spec:\n"                             // 5
         "  topology: topology.yaml\n"         // 6
         "  model: {type: gpt2, n_head: 6}\n"  // 7
         "  data:\n"                           // 8
         "    path: data/bible\n"              // 9
         "  training:\n"                       // 10
         "    steps: 100\n"                    // 11
         "  parallelism:\n"                    // 12
         "    dp: 2\n"                         // 13
         "    pp: 2\n";                        // 14
}

inline job::Job sample_job(std::uint32_t replicas, std::uint32_t stages) {
  auto job = job::parse_job(sample_yaml(), "sample.yaml");
  EXPECT_TRUE(job.ok()) << job.error().text();
  job->parallelism.dp = replicas;
  job->parallelism.pp = stages;
  return *job;
}

/// `nodes` of `memory` each; from two nodes on, half of them in a second datacenter.
inline topology::Topology sample_topology(std::uint32_t nodes,
                                          std::uint64_t memory = std::uint64_t{1} << 32) {
  topology::Topology topology;
  topology.name = "sample";
  for (std::uint32_t i = 0; i < nodes; ++i) {
    const std::string datacenter = 2 * i < nodes ? "east" : "west";
    topology.nodes.push_back({"node-" + std::to_string(i), datacenter, memory, 1, "127.0.0.1"});
  }
  topology.lines.push_back({"east", "west", 100e6, std::chrono::milliseconds(20)});
  return topology;
}

inline plan::Plan sample_plan(std::uint32_t replicas, std::uint32_t stages, std::uint32_t nodes) {
  auto plan = plan::make_plan(sample_job(replicas, stages), sample_topology(nodes));
  EXPECT_TRUE(plan.ok()) << plan.error().text();
  return *plan;
}

/// The edge of this name; the test ends when there is none.
inline plan::Edge& edge_named(plan::Plan& plan, const std::string& name) {
  for (plan::Edge& edge : plan.edges) {
    if (edge.name == name) return edge;
  }
  ADD_FAILURE() << "no edge " << name;
  std::abort();
}

}  // namespace reef
