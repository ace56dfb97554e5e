// The event simulation behind predict_step_seconds().

#include <algorithm>
#include <map>
#include <queue>
#include <tuple>

#include "scheduler/cost/cost.h"
#include "scheduler/plan/act_cost.h"
#include "scheduler/plan/execution.h"
#include "scheduler/plan/live.h"

namespace reef::plan {
namespace {

constexpr std::uint64_t kRounds = 2;

/// What one firing of an act costs, and whom it occupies.
struct Work {
  std::size_t resource = 0;  ///< a node's device or io stream, or a line in one direction
  double seconds = 0;
  double way = 0;  ///< of a token from its sender, of a credit from its receiver
};

struct Event {
  enum class Kind { kEnd, kArrive, kCredit };
  double time;
  std::uint64_t order;  ///< of two events at one time, the one that was caused first
  Kind kind;
  ActRef ref;
  std::uint64_t firing;
  bool operator>(const Event& other) const {
    return std::tie(time, order) > std::tie(other.time, other.order);
  }
};

double flops_of(std::string_view act, const cost::Layer& layer) {
  if (act == "forward") return layer.forward_flops;
  if (act == "backward weights") return layer.weight_gradient_flops;
  if (act == "backward input") return layer.backward_flops - layer.weight_gradient_flops;
  return layer.backward_flops;
}

/// Acts that may fire, best first.
struct Ready {
  std::int32_t priority;
  std::uint64_t order;
  ActRef ref;
  bool operator<(const Ready& other) const {
    return priority != other.priority ? priority < other.priority : order > other.order;
  }
};

struct Resource {
  bool busy = false;
  std::priority_queue<Ready> ready;
};

class Simulation {
 public:
  Simulation(const Plan& plan, const topology::Topology& topology, const nn::ModelSpec& spec,
             std::uint64_t tokens)
      : plan_(plan),
        execution_(plan, kRounds),
        round_end_(kRounds, 0),
        resources_(2 * plan.nodes.size()) {
    for (const Actor& actor : plan.actors) {
      auto& works = work_.emplace_back();
      for (std::uint32_t i = 0; i < actor.acts.size(); ++i) {
        works.push_back(work_of(actor, actor.acts[i], topology, spec, tokens));
      }
      queued_.emplace_back(actor.acts.size(), false);
    }
  }

  double run() {
    for (const Actor& actor : plan_.actors) {
      for (std::uint32_t i = 0; i < actor.acts.size(); ++i) wake({actor.id, i});
    }
    for (std::size_t i = 0; i < resources_.size(); ++i) dispatch(i);
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.time;
      handle(event);
    }
    return round_end_[1] - round_end_[0];
  }

 private:
  const Act& act(ActRef ref) const { return plan_.actors[ref.actor].acts[ref.act]; }
  const Work& work(ActRef ref) const { return work_[ref.actor][ref.act]; }

  Work work_of(const Actor& actor, const Act& act, const topology::Topology& topology,
               const nn::ModelSpec& spec, std::uint64_t tokens) {
    if (actor.kind == ActorKind::kSend || actor.kind == ActorKind::kReceive) {
      const bool sends = actor.kind == ActorKind::kSend;
      return carrier_work(plan_.edges[(sends ? act.outputs : act.inputs)[0].edge], sends, topology);
    }
    const auto index = static_cast<std::size_t>(&act - actor.acts.data());
    return {actor.node, act_seconds(plan_, spec, tokens, actor, index), 0};
  }

  Work carrier_work(const Edge& wire, bool sends, const topology::Topology& topology) {
    const Node& from = plan_.nodes[plan_.actors[wire.producer].node];
    const Node& to = plan_.nodes[plan_.actors[wire.consumer].node];
    const topology::Line line = topology::line_between(topology, from.datacenter, to.datacenter);
    const double bytes =
        wire.content == Content::kState ? 0 : static_cast<double>(wire.bytes) * wire.ratio;
    const bool wide = from.datacenter != to.datacenter;
    // All nodes of two datacenters share their line; a receiver only unpacks and occupies nobody
    // else.
    const std::string key = !sends ? "receive " + wire.name
                            : wide ? "line " + from.datacenter + " " + to.datacenter
                                   : "node " + from.name + " " + to.name;
    const auto [entry, added] = lines_.try_emplace(key, resources_.size());
    if (added) resources_.emplace_back();
    return {entry->second, sends ? cost::transfer_seconds(line, bytes) : 0,
            seconds(line.round_trip) / 2};
  }

  void wake(ActRef ref) {
    if (queued_[ref.actor][ref.act] || !execution_.ready(ref)) return;
    queued_[ref.actor][ref.act] = true;
    resources_[work(ref).resource].ready.push({act(ref).priority, order_++, ref});
  }

  void wake_around(ActRef ref) {
    wake(ref);
    touched_ = {work(ref).resource};
    const auto neighbour = [&](ActRef other) {
      wake(other);
      touched_.push_back(work(other).resource);
    };
    for (const Port& port : act(ref).inputs) {
      neighbour({plan_.edges[port.edge].producer, plan_.edges[port.edge].producer_act});
    }
    for (const Port& port : act(ref).outputs) {
      neighbour({plan_.edges[port.edge].consumer, plan_.edges[port.edge].consumer_act});
    }
    for (const std::size_t resource : touched_) dispatch(resource);
  }

  void dispatch(std::size_t index) {
    Resource& resource = resources_[index];
    if (resource.busy || resource.ready.empty()) return;
    const ActRef ref = resource.ready.top().ref;
    resource.ready.pop();
    resource.busy = true;
    const std::uint64_t firing = execution_.start(ref);
    push(now_ + work(ref).seconds, Event::Kind::kEnd, ref, firing);
  }

  void push(double time, Event::Kind kind, ActRef ref, std::uint64_t firing) {
    events_.push({time, order_++, kind, ref, firing});
  }

  void handle(const Event& event) {
    const ActorKind kind = plan_.actors[event.ref.actor].kind;
    const double way = work(event.ref).way;
    if (event.kind == Event::Kind::kEnd) {
      resources_[work(event.ref).resource].busy = false;
      queued_[event.ref.actor][event.ref.act] = false;
      double& end = round_end_[event.firing / act(event.ref).firings];
      end = std::max(end, now_);
      if (kind == ActorKind::kSend) {
        push(now_ + way, Event::Kind::kArrive, event.ref, event.firing);
      } else {
        execution_.make_tokens(event.ref, event.firing);
      }
      if (kind == ActorKind::kReceive) {
        push(now_ + way, Event::Kind::kCredit, event.ref, event.firing);
      } else {
        execution_.return_slots(event.ref, event.firing);
      }
    } else if (event.kind == Event::Kind::kArrive) {
      execution_.make_tokens(event.ref, event.firing);
    } else {
      execution_.return_slots(event.ref, event.firing);
    }
    wake_around(event.ref);
  }

  const Plan& plan_;
  Execution execution_;
  std::vector<double> round_end_;
  std::vector<Resource> resources_;
  std::map<std::string, std::size_t> lines_;
  std::vector<std::vector<Work>> work_;
  std::vector<std::vector<bool>> queued_;  ///< waiting for its resource, or running
  std::vector<std::size_t> touched_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  double now_ = 0;
};

}  // namespace

double predict_step_seconds(const Plan& plan, const topology::Topology& topology,
                            const nn::ModelSpec& spec, std::uint64_t tokens) {
  return Simulation(plan, topology, spec, tokens).run();
}

}  // namespace reef::plan
