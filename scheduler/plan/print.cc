#include "scheduler/plan/print.h"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <utility>

#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "scheduler/job/parallelism.h"
#include "scheduler/plan/kinds.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/names.h"
#include "scheduler/plan/route.h"
#include "scheduler/plan/shape.h"
#include "scheduler/plan/teaching.h"

namespace reef::plan {
namespace {

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string number(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string rates_text(const Plan& plan) {
  const auto stated =
      std::ranges::count_if(plan.nodes, [](const Node& node) { return node.device.speed > 0; });
  if (stated == 0) return "default device rates";
  return static_cast<std::size_t>(stated) == plan.nodes.size()
             ? "device rates stated or measured"
             : "device rates stated or measured of " + std::to_string(stated) +
                   " nodes, else defaults";
}

/// What no replica has all of.
std::string sharing_text(const Plan& plan) {
  const Sharing sharing = sharing_of(plan);
  if (!sharing.state) return {};
  if (sharing.weights) {
    return "shared out    masters, moments, sums of gradients and weights, which travel for each "
           "of " +
           std::to_string(plan.stages + plan.buckets.size()) +
           " buckets of layers of each micro-batch\n";
  }
  return sharing.gradients
             ? "shared out    masters, moments and sums of gradients, which travel after each "
               "micro-batch\n"
             : "shared out    masters and moments\n";
}

/// What does not wait for the whole backward of a stage.
std::string buckets_text(const Plan& plan) {
  if (plan.buckets.empty() || plan.shares_weights) return {};
  return "gradients     in " + std::to_string(plan.stages + plan.buckets.size()) +
         " buckets of layers, each on its way while backward computes earlier ones\n";
}

void print_service(const Plan& plan, std::ostream& out) {
  out << "service       " << plan.job << ", epoch " << plan.epoch << '\n'
      << "placement     " << plan.layout << '\n'
      << teaching_text(plan);
  const std::string paced = paced_text(plan);
  if (!paced.empty()) out << "PACED         " << paced << '\n';
}

void print_header(const Plan& plan, std::ostream& out) {
  if (teaches(plan)) return print_service(plan, out);
  out << "job           " << plan.job << ", epoch " << plan.epoch << '\n'
      << "layout        " << plan.replicas << " replicas x " << plan.stages << " stages, "
      << (plan.ranks > 1 ? std::to_string(plan.ranks) + " ranks share each, " : "")
      << (plan.context > 1 ? std::to_string(plan.context) + " replicas share sequences, " : "")
      << micro_batches_text(plan) << '\n'
      << sharing_text(plan) << buckets_text(plan) << "placement     " << plan.layout << '\n'
      << "reproducible  "
      << (plan.reproducible ? "yes: the same bits on every aligned layout"
          : plan.ranks > 1 || plan.context > 1
              ? "no: ranks add up what one device would sum in another order"
          : !is_of_one_kind(plan) ? "no: devices of several kinds compute, and round differently"
          : !nodes_that_ask(plan).empty() ? "no: what teachers say, and whether in time, is theirs"
          : !plan.micro_batches.empty()   ? "no: replicas take unequally many micro-batches, whose "
                                            "sums are no equal parts of a tree"
                                          : "no: a codec that rounds is in use between nodes")
      << '\n'
      << "step          " << number(plan.predicted_step_seconds, "%.3f")
      << " s predicted (event simulation, " << rates_text(plan) << ")\n"
      << teaching_text(plan);
  const std::string paced = paced_text(plan);
  if (!paced.empty()) out << "PACED         " << paced << '\n';
}

/// Over what a node talks to which others, where that is not TCP.
void print_ucx(const Plan& plan, const Node& node, std::ostream& out) {
  if (node.ucx.empty()) return;
  std::string others;
  for (const Route& route : plan.routes) {
    if (!over_ucx(plan, route)) continue;
    const Node &dialler = plan.nodes[route.dialler], &acceptor = plan.nodes[route.acceptor];
    if (node.name != dialler.name && node.name != acceptor.name) continue;
    others +=
        (others.empty() ? "" : ", ") + (node.name == dialler.name ? acceptor.name : dialler.name);
  }
  if (!others.empty()) out << ", ucx (" << node.ucx << ") to " << others;
}

void print_device(const topology::Device& device, std::ostream& out) {
  if (!device.name.is_cpu()) out << ", on " << device.name.text();
  if (device.speed > 0) out << ", " << format_speed(device.speed);
  if (device.bandwidth > 0) out << ", " << format_bandwidth(device.bandwidth);
  if (device.paced) out << ", PACED";
}

/// Whether the actor only serves a sum over ranks, of which there are two a layer: people see the
/// sums and what crosses a slow line, JSON has all.
bool adds_up(const Plan& plan, const Actor& actor) {
  if (actor.kind == ActorKind::kAllReduce || actor.kind == ActorKind::kJoin) return true;
  if (actor.kind != ActorKind::kSend && actor.kind != ActorKind::kReceive) return false;
  const std::string& name = plan.edges[actor.acts[0].inputs[0].edge].name;
  return name.starts_with("sent/") || name.starts_with("shown/");
}

/// Likewise a ring of replicas that share sequences, of which there is one for each attention
/// layer.
bool in_ring(const Plan& plan, const Actor& actor) {
  if (plan.context == 1) return false;
  const bool sends = actor.kind == ActorKind::kSend, receives = actor.kind == ActorKind::kReceive;
  if (!sends && !receives) return false;
  const Edge& edge =
      plan.edges[sends ? actor.acts[0].inputs[0].edge : actor.acts[0].outputs[0].edge];
  return edge.name.starts_with("keys") || edge.name.starts_with("sums-back");
}

void print_nodes(const Plan& plan, std::ostream& out) {
  const auto memory = memory_by_device(plan);
  std::vector<std::vector<ActorId>> actors(plan.nodes.size());
  for (const Actor& actor : plan.actors) actors[actor.node].push_back(actor.id);
  for (std::size_t n = 0; n < plan.nodes.size(); ++n) {
    const Node& node = plan.nodes[n];
    out << "\nnode " << node.name << " in " << node.datacenter << ", " << node.threads
        << (node.threads == 1 ? " thread" : " threads") << ", memory "
        << format_size(memory[n].device) << " of " << format_size(node.memory);
    if (!node.device.name.is_cpu()) out << " and " << format_size(memory[n].host) << " of the host";
    print_device(node.device, out);
    print_ucx(plan, node, out);
    out << '\n';
    std::size_t sums = 0, carriers = 0, in_rings = 0;
    for (const ActorId id : actors[n]) {
      const Actor& actor = plan.actors[id];
      if (in_ring(plan, actor)) {
        ++in_rings;
        continue;
      }
      if (adds_up(plan, actor)) {
        ++(actor.kind == ActorKind::kAllReduce || actor.kind == ActorKind::kJoin ? sums : carriers);
        continue;
      }
      out << "  " << padded(std::string(kind_name(actor.kind)), 16) << padded(actor.name, 32);
      if (actor.last_layer > actor.first_layer) {
        out << " layers " << actor.first_layer << ".." << actor.last_layer - 1;
      }
      if (actor.state_bytes > 0) out << "  state " << format_size(actor.state_bytes);
      out << '\n';
    }
    if (sums > 0) {
      out << "  " << padded("all-reduce", 16) << sums << " sums over ranks, " << carriers
          << " actors that carry what is added\n";
    }
    if (in_rings > 0) {
      out << "  " << padded("rings", 16) << in_rings
          << " actors that carry keys, values and sums between replicas that share sequences\n";
    }
  }
}

/// Only what is out of the ordinary: who can dial whom is the machines' own affair.
void print_relayed(const Plan& plan, std::ostream& out) {
  bool any = false;
  for (const Route& route : plan.routes) {
    if (!route.relay) continue;
    if (!std::exchange(any, true)) out << '\n';
    out << "relayed       " << plan.nodes[route.dialler].name << " and "
        << plan.nodes[route.acceptor].name << " through " << plan.nodes[*route.relay].name << '\n';
  }
}

void print_edges(const Plan& plan, std::ostream& out) {
  std::size_t width = 4, codec = 9;
  std::vector<const Edge*> shown;
  for (const Edge& edge : plan.edges) {
    const bool strip = edge.name.starts_with("strip/");
    if (strip || !adds_up(plan, plan.actors[edge.consumer])) shown.push_back(&edge);
  }
  for (const Edge* one : shown) {
    const Edge& edge = *one;
    width = std::max(width, edge.name.size());
    codec = std::max(codec, edge.codec.size());
  }
  if (shown.empty()) return;
  out << '\n'
      << padded("edge", width) << "  tokens  slots  " << padded("bytes", 10) << "  dtype  "
      << padded("codec", codec) << "  from -> to\n";
  for (const Edge* one : shown) {
    const Edge& edge = *one;
    out << padded(edge.name, width) << "  " << padded(std::to_string(edge.tokens), 6) << "  "
        << padded(std::to_string(edge.slots), 5) << "  " << padded(format_size(edge.bytes), 10)
        << "  " << padded(std::string(ops::name_of(edge.dtype)), 5) << "  "
        << padded(edge.codec.empty() ? "-" : edge.codec, codec) << "  "
        << act_name(plan, edge.producer, edge.producer_act) << " -> "
        << act_name(plan, edge.consumer, edge.consumer_act) << '\n';
  }
}

}  // namespace

std::string paced_text(const Plan& plan) {
  constexpr std::size_t kMostNames = 8;
  std::vector<std::string> names;
  for (const Node& node : plan.nodes) {
    if (node.device.paced) names.push_back(node.name + " at " + format_speed(node.device.speed));
  }
  if (names.empty()) return {};
  if (names.size() > kMostNames) {
    names.back() = std::to_string(names.size() - kMostNames) + " more";
    names.erase(names.begin() + kMostNames, names.end() - 1);
  }
  return join(names) +
         ": these devices compute really and then wait until the stated speed would have taken as "
         "long; times are of devices of these speeds, not of this machine";
}

std::string micro_batches_text(const Plan& plan) {
  if (!plan.micro_batches.empty())
    return job::ratio_text(plan.micro_batches) + " micro-batches a round, by replica";
  return std::to_string(micro_batches_of(plan, 0)) + " micro-batches a round on each replica";
}

void print_plan(const Plan& plan, std::ostream& out) {
  print_header(plan, out);
  print_nodes(plan, out);
  print_relayed(plan, out);
  print_edges(plan, out);
}

}  // namespace reef::plan
