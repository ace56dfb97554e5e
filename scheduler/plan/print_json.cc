#include "scheduler/plan/print_json.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "scheduler/plan/memory.h"
#include "scheduler/plan/names.h"

namespace reef::plan {
namespace {

using Json = nlohmann::json;

Json json_of(const Actor& actor, const Plan& plan) {
  Json acts = Json::array();
  for (const Act& act : actor.acts) {
    acts.push_back({{"name", act.name}, {"firings", act.firings}, {"priority", act.priority}});
  }
  return {{"name", actor.name},
          {"kind", kind_name(actor.kind)},
          {"node", plan.nodes[actor.node].name},
          {"replica", actor.replica},
          {"stage", actor.stage},
          {"rank", actor.rank},
          {"firstLayer", actor.first_layer},
          {"lastLayer", actor.last_layer},
          {"stateBytes", actor.state_bytes},
          {"acts", acts}};
}

Json json_of(const Route& route, const Plan& plan) {
  return {{"dialler", plan.nodes[route.dialler].name},
          {"acceptor", plan.nodes[route.acceptor].name},
          {"relay", route.relay ? Json(plan.nodes[*route.relay].name) : Json()}};
}

Json json_of(const Edge& edge, const Plan& plan) {
  return {{"name", edge.name},
          {"from", act_name(plan, edge.producer, edge.producer_act)},
          {"to", act_name(plan, edge.consumer, edge.consumer_act)},
          {"content", content_name(edge.content)},
          {"tokens", edge.tokens},
          {"slots", edge.slots},
          {"initial", edge.initial},
          {"bytes", edge.bytes},
          {"dtype", ops::name_of(edge.dtype)},
          {"wire", edge.wire},
          {"codec", edge.codec},
          {"ratio", edge.ratio}};
}

Json json_of(const Mode& mode) {
  return {{"mode", mode.what},
          {"tokensPerSecond", mode.tokens_per_second},
          {"extraTokens", mode.extra_tokens},
          {"seconds", mode.seconds},
          {"why", mode.why}};
}

}  // namespace

std::string plan_to_json(const Plan& plan, std::span<const Mode> modes) {
  const auto memory = memory_by_device(plan);
  Json nodes = Json::array(), actors = Json::array(), edges = Json::array(), routes = Json::array();
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const Node& node = plan.nodes[i];
    nodes.push_back({{"name", node.name},
                     {"datacenter", node.datacenter},
                     {"address", node.address},
                     {"dialable", reach_name(node.dialable)},
                     {"threads", node.threads},
                     {"ucx", node.ucx},
                     {"memory", node.memory},
                     {"memoryNeeded", memory[i].device},
                     {"hostMemoryNeeded", memory[i].host},
                     {"device", node.device.name.text()},
                     {"speed", node.device.speed},
                     {"bandwidth", node.device.bandwidth},
                     {"paced", node.device.paced}});
  }
  for (const Actor& actor : plan.actors) actors.push_back(json_of(actor, plan));
  for (const Edge& edge : plan.edges) edges.push_back(json_of(edge, plan));
  for (const Route& route : plan.routes) routes.push_back(json_of(route, plan));
  std::vector<std::uint32_t> micro_batches;
  for (std::uint32_t r = 0; r < plan.replicas; ++r)
    micro_batches.push_back(micro_batches_of(plan, r));
  const Json descriptor = Json::parse(plan.descriptor, nullptr, false);
  Json document = {{"job", plan.job},
                   {"epoch", plan.epoch},
                   {"descriptor", descriptor.is_discarded() ? Json() : descriptor},
                   {"replicas", plan.replicas},
                   {"stages", plan.stages},
                   {"ranks", plan.ranks},
                   {"context", plan.context},
                   {"leaves", plan.leaves},
                   {"microBatches", micro_batches},
                   {"buckets", plan.buckets},
                   {"layout", plan.layout},
                   {"reproducible", plan.reproducible},
                   {"predictedStepSeconds", plan.predicted_step_seconds},
                   {"nodes", nodes},
                   {"actors", actors},
                   {"edges", edges},
                   {"routes", routes}};
  for (const Mode& mode : modes) document["modes"].push_back(json_of(mode));
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace reef::plan
