#include "workload.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdlib>
#include <iostream>

#include "actors/data/format/prepare.h"
#include "runtime/base/file.h"
#include "runtime/base/random.h"
#include "scheduler/plan/make_plan.h"

namespace reef::simulation {
namespace {

std::string generated_text() {
  const Random random(7, "simulation text");
  std::string text;
  for (std::uint64_t chapter = 0; chapter < 20; ++chapter) {
    text += "# Chapter " + std::to_string(chapter) + "\n";
    for (std::uint64_t i = 0; i < 200; ++i)
      text += static_cast<char>('a' + random.below(26, chapter, i));
    text += "\n\n";
  }
  return text;
}

topology::Topology topology_of(std::uint32_t nodes) {
  topology::Topology topology;
  topology.name = "simulated";
  for (std::uint32_t i = 0; i < nodes; ++i) {
    const std::string datacenter = 2 * i < nodes ? "east" : "west";
    topology.nodes.push_back(
        {"node-" + std::to_string(i), datacenter, std::uint64_t{1} << 30, 1, "127.0.0.1"});
  }
  topology.lines.push_back({"east", "west", 100e6, std::chrono::milliseconds(20)});
  return topology;
}

}  // namespace

ScratchFolder::ScratchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "atoll-sim-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "cannot make " << name;
  path_ = name;
}

ScratchFolder::~ScratchFolder() { std::filesystem::remove_all(path_); }

std::string name_of(const Layout& layout) {
  return std::to_string(layout.nodes) + "-nodes-" + std::to_string(layout.replicas) + "x" +
         std::to_string(layout.stages);
}

void prepare_text(const ScratchFolder& folder) {
  const Status written = write_file(folder / "text.txt", as_bytes(generated_text()));
  ASSERT_TRUE(written.ok()) << written.error().text();
  data::PrepareOptions options;
  options.input = folder / "text.txt";
  options.output = folder / "data";
  options.validation_fraction = 0.2;
  const auto prepared = data::prepare(options);
  ASSERT_TRUE(prepared.ok()) << prepared.error().text();
}

job::Job small_job(const ScratchFolder& folder, const Layout& layout) {
  job::Job job;
  job.name = "small";
  job.topology = "topology.yaml";
  job.model = nn::GptConfig{.n_positions = 16, .n_embd = 16, .n_layer = 2, .n_head = 2};
  job.data.path = folder / "data";
  job.optimizer.warmup_steps = 2;
  job.training = {kSteps, 3, 4, 1, 16};
  job.evaluation = {0, kEvaluations};
  job.parallelism.dp = layout.replicas;
  job.parallelism.pp = layout.stages;
  return job;
}

plan::Plan plan_of(const job::Job& job, const Layout& layout) {
  auto plan = plan::make_plan(job, topology_of(layout.nodes));
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().text());
  return plan.ok() ? *plan : plan::Plan{};
}

std::uint64_t network_seed() {
  const char* given = std::getenv("ATOLL_SIM_SEED");
  const std::uint64_t seed = given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
  std::cout << "seed " << seed << " (set ATOLL_SIM_SEED for another)" << std::endl;
  return seed;
}

}  // namespace reef::simulation
