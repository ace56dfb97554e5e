#pragma once
// Tasks without a cluster: a plan of a small job, events that are only written down, and one
// context.

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "actors/core/factory.h"
#include "ops/cpu/thread_pool.h"
#include "runtime/base/random.h"
#include "scheduler/plan/make_plan.h"

namespace reef::actors {

struct RecordedEvents final : node::Events {
  void progress(const node::Progress&) override {}
  void checkpoint_written(std::uint64_t, const std::string&) override {}
  void failed(const std::string& actor, const Error& error) override {
    failures.emplace_back(actor, error);
  }
  void held(const std::string&, std::uint64_t) override {}
  std::vector<std::pair<std::string, Error>> failures;
};

/// Nothing leaves; every line gives what a test says.
struct StubWire final : node::Wire {
  void send_token(std::uint32_t, std::uint64_t, const Token&) override {}
  void send_credit(std::uint32_t) override {}
  link::LineNow line(std::uint32_t edge) const override {
    const auto found = lines.find(edge);
    return found == lines.end() ? link::LineNow{} : found->second;
  }
  bool send_letter(std::uint32_t, node::Letter) override { return false; }
  std::map<std::uint32_t, link::LineNow> lines;  ///< by wire edge
};

inline job::Job tiny_job(std::uint32_t replicas, std::uint32_t stages) {
  job::Job job;
  job.name = "tiny";
  job.topology = "topology.yaml";
  job.model = nn::GptConfig{.n_positions = 8, .n_embd = 8, .n_layer = 2, .n_head = 2};
  job.data.path = "data";
  job.training = {2, 1, 4, 1, 8};
  job.parallelism.dp = replicas;
  job.parallelism.pp = stages;
  return job;
}

/// Of as many nodes in each of the datacenters.
inline plan::Plan plan_on(const job::Job& job, std::uint32_t nodes, std::uint32_t datacenters = 1) {
  const auto datacenter = [](std::uint32_t i) { return "there-" + std::to_string(i); };
  topology::Topology topology;
  topology.name = "here";
  for (std::uint32_t i = 0; i < nodes; ++i) {
    topology.nodes.push_back({"node-" + std::to_string(i), datacenter(i / (nodes / datacenters)),
                              1u << 30, 1, "127.0.0.1"});
  }
  for (std::uint32_t to = 0; to < datacenters; ++to) {
    for (std::uint32_t from = 0; from < to; ++from)
      topology.lines.push_back(
          {datacenter(from), datacenter(to), 1e8, std::chrono::milliseconds(20)});
  }
  auto plan = plan::make_plan(job, topology);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().text());
  return plan.ok() ? *plan : plan::Plan{};
}

/// Makes and runs tasks of one plan.
struct Rig {
  explicit Rig(job::Job of, std::uint32_t nodes = 1, std::uint32_t datacenters = 1)
      : Rig(of, plan_on(of, nodes, datacenters)) {}
  Rig(job::Job of, plan::Plan by)
      : job(std::move(of)), plan(std::move(by)), model(job::spec_of(job)) {}

  Result<std::unique_ptr<Task>> make(const plan::Actor& actor) {
    return make_task({plan, job, model, events, wire, system_clock(), "run"}, actor);
  }
  Status run(Task& task, std::size_t act, const std::vector<const Token*>& inputs,
             const std::vector<Token*>& outputs, std::uint64_t number = 0) {
    Firing firing{act, number, inputs, outputs, context};
    return task.run(firing);
  }

  job::Job job;
  plan::Plan plan;
  nn::ModelSpec model;
  RecordedEvents events;
  StubWire wire;
  ops::ThreadPool context{1};
};

/// Numbers of very different sizes, so that the order of additions shows in the bits.
inline ops::Tensor wild_tensor(ops::Context& context, const ops::Shape& shape, std::uint64_t row) {
  const Random random(5, "wild");
  ops::Tensor tensor = ops::Tensor::empty(context.pool(), ops::DType::kF32, shape);
  std::uint64_t i = 0;
  for (float& value : tensor.values<float>()) {
    const float scale = i % 3 == 0 ? 1e4f : i % 3 == 1 ? 1.0f : 1e-3f;
    value = scale * random.normal(row, i++);
  }
  return tensor;
}

inline bool same_bits(const ops::Tensor& a, const ops::Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.size_bytes()) == 0;
}

/// A sender and a receiver around one wire edge:
/// (0) source -value-> (1) send -wire-> (2) receive -value-> (3) sink.
inline plan::Plan wire_plan(const std::string& codec, std::uint32_t slots, std::uint64_t bytes,
                            ops::DType dtype = ops::DType::kF32) {
  plan::Plan plan;
  plan.job = "tiny";
  plan.nodes.resize(2);
  const auto edge = [&](const char* name, plan::ActorId from, plan::ActorId to, bool wire) {
    plan::Edge made;
    made.id = static_cast<plan::EdgeId>(plan.edges.size());
    made.name = name;
    made.producer = from;
    made.consumer = to;
    made.slots = slots;
    made.bytes = bytes;
    made.dtype = dtype;
    made.wire = wire;
    if (wire) made.codec = codec;
    plan.edges.push_back(made);
  };
  edge("value", 0, 1, false);
  edge("value/wire", 1, 2, true);
  edge("value/received", 2, 3, false);
  const plan::ActorKind kinds[] = {plan::ActorKind::kDataLoader, plan::ActorKind::kSend,
                                   plan::ActorKind::kReceive, plan::ActorKind::kMetrics};
  for (plan::ActorId id = 0; id < 4; ++id) {
    plan::Actor actor;
    actor.id = id;
    actor.kind = kinds[id];
    actor.name = "actor-" + std::to_string(id);
    actor.node = id < 2 ? 0 : 1;
    plan::Act act;
    act.name = "act";
    if (id > 0) act.inputs = {{id - 1, 1}};
    if (id < 3) act.outputs = {{id, 1}};
    actor.acts = {act};
    plan.actors.push_back(actor);
  }
  return plan;
}

}  // namespace reef::actors
