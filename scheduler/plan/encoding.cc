#include "scheduler/plan/encoding.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include "configs/schema/plan.capnp.h"

namespace reef::plan {
namespace {

constexpr int kNesting = 8;  ///< plan, actors, acts, ports and their pointers
/// A well-formed plan is read once; the rest allows for the words that pointers count. A message
/// whose pointers lead to one object again and again ends here.
constexpr std::uint64_t traversal_limit(std::size_t words) { return 2 * words + 1024; }

kj::StringPtr text(const std::string& from) { return {from.c_str(), from.size()}; }
std::string text(capnp::Text::Reader from) { return {from.begin(), from.size()}; }

template <typename Ports>
void write_ports(Ports to, const std::vector<Port>& from) {
  for (unsigned i = 0; i < to.size(); ++i) {
    to[i].setEdge(from[i].edge);
    to[i].setGroup(from[i].group);
  }
}

void write_act(schema::PlanAct::Builder to, const Act& from) {
  to.setName(text(from.name));
  to.setFirings(from.firings);
  to.setPriority(from.priority);
  write_ports(to.initInputs(static_cast<unsigned>(from.inputs.size())), from.inputs);
  write_ports(to.initOutputs(static_cast<unsigned>(from.outputs.size())), from.outputs);
}

void write_actor(schema::PlanActor::Builder to, const Actor& from) {
  to.setKind(static_cast<std::uint8_t>(from.kind));
  to.setName(text(from.name));
  to.setNode(from.node);
  to.setReplica(from.replica);
  to.setStage(from.stage);
  to.setRank(from.rank);
  to.setFirstLayer(from.first_layer);
  to.setLastLayer(from.last_layer);
  to.setStateBytes(from.state_bytes);
  auto acts = to.initActs(static_cast<unsigned>(from.acts.size()));
  for (unsigned i = 0; i < acts.size(); ++i) write_act(acts[i], from.acts[i]);
}

void write_edge(schema::PlanEdge::Builder to, const Edge& from) {
  to.setName(text(from.name));
  to.setProducer(from.producer);
  to.setProducerAct(from.producer_act);
  to.setConsumer(from.consumer);
  to.setConsumerAct(from.consumer_act);
  to.setContent(static_cast<std::uint8_t>(from.content));
  to.setTokens(from.tokens);
  to.setSlots(from.slots);
  to.setInitial(from.initial);
  to.setBytes(from.bytes);
  to.setWire(from.wire);
  to.setCodec(text(from.codec));
  to.setRatio(from.ratio);
  to.setDtype(static_cast<std::uint8_t>(from.dtype));
}

void write_node(schema::PlanNode::Builder to, const Node& from) {
  to.setName(text(from.name));
  to.setDatacenter(text(from.datacenter));
  to.setMemory(from.memory);
  to.setThreads(from.threads);
  to.setAddress(text(from.address));
  to.setDialable(static_cast<std::uint8_t>(from.dialable));
  to.setUcx(text(from.ucx));
  to.setSpeed(from.device.speed);
  to.setBandwidth(from.device.bandwidth);
  to.setPaced(from.device.paced);
  to.setDeviceKind(text(from.device.name.kind));
  to.setDeviceIndex(from.device.name.index);
}

void write_route(schema::PlanRoute::Builder to, const Route& from) {
  to.setDialler(from.dialler);
  to.setAcceptor(from.acceptor);
  to.setRelayed(from.relay.has_value());
  to.setRelay(from.relay.value_or(0));
}

std::vector<Port> read_ports(capnp::List<schema::PlanPort>::Reader from) {
  std::vector<Port> to;
  for (const auto port : from) to.push_back({port.getEdge(), port.getGroup()});
  return to;
}

Act read_act(schema::PlanAct::Reader from) {
  return {text(from.getName()), from.getFirings(), from.getPriority(), read_ports(from.getInputs()),
          read_ports(from.getOutputs())};
}

Actor read_actor(schema::PlanActor::Reader from, ActorId id) {
  Actor to;
  to.id = id;
  to.kind = static_cast<ActorKind>(from.getKind());
  to.name = text(from.getName());
  to.node = from.getNode();
  to.replica = from.getReplica();
  to.stage = from.getStage();
  to.rank = from.getRank();
  to.first_layer = from.getFirstLayer();
  to.last_layer = from.getLastLayer();
  to.state_bytes = from.getStateBytes();
  for (const auto act : from.getActs()) to.acts.push_back(read_act(act));
  return to;
}

Edge read_edge(schema::PlanEdge::Reader from, EdgeId id) {
  Edge to;
  to.id = id;
  to.name = text(from.getName());
  to.producer = from.getProducer();
  to.producer_act = from.getProducerAct();
  to.consumer = from.getConsumer();
  to.consumer_act = from.getConsumerAct();
  to.content = static_cast<Content>(from.getContent());
  to.tokens = from.getTokens();
  to.slots = from.getSlots();
  to.initial = from.getInitial();
  to.bytes = from.getBytes();
  to.wire = from.getWire();
  to.codec = text(from.getCodec());
  to.ratio = from.getRatio();
  to.dtype = static_cast<ops::DType>(from.getDtype());
  return to;
}

Route read_route(schema::PlanRoute::Reader from) {
  Route to{from.getDialler(), from.getAcceptor(), std::nullopt};
  if (from.getRelayed()) to.relay = from.getRelay();
  return to;
}

Plan read_plan(schema::Plan::Reader from) {
  Plan to;
  to.job = text(from.getJob());
  to.epoch = from.getEpoch();
  to.descriptor = text(from.getDescriptor());
  for (const auto node : from.getNodes()) {
    to.nodes.push_back({text(node.getName()),
                        text(node.getDatacenter()),
                        node.getMemory(),
                        node.getThreads(),
                        text(node.getAddress()),
                        static_cast<Reach>(node.getDialable()),
                        text(node.getUcx()),
                        {node.getSpeed(),
                         node.getBandwidth(),
                         node.getPaced(),
                         {text(node.getDeviceKind()), node.getDeviceIndex()}}});
  }
  for (const auto actor : from.getActors()) {
    to.actors.push_back(read_actor(actor, static_cast<ActorId>(to.actors.size())));
  }
  for (const auto edge : from.getEdges()) {
    to.edges.push_back(read_edge(edge, static_cast<EdgeId>(to.edges.size())));
  }
  for (const auto route : from.getRoutes()) to.routes.push_back(read_route(route));
  to.replicas = from.getReplicas();
  to.stages = from.getStages();
  to.ranks = from.getRanks();
  to.context = from.getContext();
  to.leaves = from.getLeaves();
  for (const std::uint32_t count : from.getMicroBatches()) to.micro_batches.push_back(count);
  for (const std::uint32_t layer : from.getBuckets()) to.buckets.push_back(layer);
  to.shares_weights = from.getSharesWeights();
  to.reproducible = from.getReproducible();
  to.predicted_step_seconds = from.getPredictedStepSeconds();
  to.layout = text(from.getLayout());
  return to;
}

}  // namespace

Bytes encode(const Plan& plan) {
  capnp::MallocMessageBuilder message;
  auto to = message.initRoot<schema::Plan>();
  to.setJob(text(plan.job));
  to.setEpoch(plan.epoch);
  to.setDescriptor(text(plan.descriptor));
  auto nodes = to.initNodes(static_cast<unsigned>(plan.nodes.size()));
  for (unsigned i = 0; i < nodes.size(); ++i) write_node(nodes[i], plan.nodes[i]);
  auto actors = to.initActors(static_cast<unsigned>(plan.actors.size()));
  for (unsigned i = 0; i < actors.size(); ++i) write_actor(actors[i], plan.actors[i]);
  auto edges = to.initEdges(static_cast<unsigned>(plan.edges.size()));
  for (unsigned i = 0; i < edges.size(); ++i) write_edge(edges[i], plan.edges[i]);
  auto routes = to.initRoutes(static_cast<unsigned>(plan.routes.size()));
  for (unsigned i = 0; i < routes.size(); ++i) write_route(routes[i], plan.routes[i]);
  to.setReplicas(plan.replicas);
  to.setStages(plan.stages);
  to.setRanks(plan.ranks);
  to.setContext(plan.context);
  to.setLeaves(plan.leaves);
  auto counts = to.initMicroBatches(static_cast<unsigned>(plan.micro_batches.size()));
  for (unsigned i = 0; i < counts.size(); ++i) counts.set(i, plan.micro_batches[i]);
  auto buckets = to.initBuckets(static_cast<unsigned>(plan.buckets.size()));
  for (unsigned i = 0; i < buckets.size(); ++i) buckets.set(i, plan.buckets[i]);
  to.setSharesWeights(plan.shares_weights);
  to.setReproducible(plan.reproducible);
  to.setPredictedStepSeconds(plan.predicted_step_seconds);
  to.setLayout(text(plan.layout));
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.begin());
  return {begin, begin + bytes.size()};
}

Result<Plan> decode(BytesView bytes) {
  if (bytes.empty() || bytes.size() > kEncodedPlanLimit ||
      bytes.size() % sizeof(capnp::word) != 0) {
    return Error{Code::kProto, "plan",
                 std::to_string(bytes.size()) + " bytes cannot be an encoded plan; at most " +
                     std::to_string(kEncodedPlanLimit) + " in whole words"};
  }
  // Cap'n Proto reads words in place; what a peer sent need not be aligned.
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  std::memcpy(words.begin(), bytes.data(), bytes.size());
  capnp::ReaderOptions options;
  options.traversalLimitInWords = traversal_limit(words.size());
  options.nestingLimit = kNesting;
  try {
    capnp::FlatArrayMessageReader reader(words, options);
    if (reader.getEnd() != words.end()) return Error{Code::kProto, "plan", "bytes after the end"};
    return read_plan(reader.getRoot<schema::Plan>());
  } catch (const kj::Exception& failure) {
    return Error{Code::kProto, "plan",
                 std::string("not a plan: ") + failure.getDescription().cStr()};
  } catch (const std::exception& failure) {
    return Error{Code::kProto, "plan", std::string("not a plan: ") + failure.what()};
  }
}

}  // namespace reef::plan
