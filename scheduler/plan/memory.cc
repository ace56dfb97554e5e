#include "scheduler/plan/memory.h"

#include <limits>

#include "scheduler/plan/act_cost.h"

namespace reef::plan {
namespace {

std::uint64_t add_saturating(std::uint64_t a, std::uint64_t b) {
  return a > std::numeric_limits<std::uint64_t>::max() - b
             ? std::numeric_limits<std::uint64_t>::max()
             : a + b;
}

std::uint64_t edge_bytes(const Edge& edge) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(edge.bytes, std::uint64_t{edge.slots}, &product)) {
    return std::numeric_limits<std::uint64_t>::max();
  }
  return product;
}

}  // namespace

std::vector<NodeMemory> memory_by_device(const Plan& plan) {
  std::vector<NodeMemory> memory(plan.nodes.size());
  // On the processor both are the same memory, and nothing is held twice.
  const auto take = [&](NodeIndex node, bool device, bool host, std::uint64_t bytes) {
    const bool one = plan.nodes[node].device.name.is_cpu();
    std::uint64_t& first = memory[node].device;
    if (device || one) first = add_saturating(first, bytes);
    if (host && !one) memory[node].host = add_saturating(memory[node].host, bytes);
  };
  for (const Actor& actor : plan.actors) {
    const bool on_device = computes(actor.kind);
    take(actor.node, on_device, !on_device, actor.state_bytes);
  }
  for (const Edge& edge : plan.edges) {
    const Actor &from = plan.actors[edge.producer], &to = plan.actors[edge.consumer];
    const bool gives = computes(from.kind), takes = computes(to.kind);
    const std::uint64_t bytes = edge_bytes(edge);
    if (from.node == to.node) {
      take(from.node, gives || takes, !gives || !takes, bytes);
      continue;
    }
    take(from.node, gives, !gives, bytes);
    take(to.node, takes, !takes, bytes);
  }
  return memory;
}

std::vector<std::uint64_t> memory_of(const Plan& plan) {
  std::vector<std::uint64_t> memory;
  for (const NodeMemory& one : memory_by_device(plan)) memory.push_back(one.device);
  return memory;
}

}  // namespace reef::plan
