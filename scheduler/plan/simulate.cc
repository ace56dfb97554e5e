#include "scheduler/plan/simulate.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

#include "ops/nn/tensor_rank.h"
#include "runtime/base/check.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/act_cost.h"
#include "scheduler/plan/execution.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/simulation/wires.h"

namespace reef::plan {
namespace {

struct Event {
  enum class Kind : std::uint8_t {
    kActEnds,   ///< id: an actor
    kLineFree,  ///< id: a line
    kArrives,   ///< id: a wire edge, whose receiver has a token more
    kCredited,  ///< id: a wire edge, whose sender has a slot more
  };
  double time;
  std::uint64_t order;  ///< of two events at one time, the one that was caused first
  Kind kind;
  std::uint32_t id;
  bool operator>(const Event& other) const {
    return std::tie(time, order) > std::tie(other.time, other.order);
  }
};

// What a firing touches stands in rows of numbers, since a plan of thousands of nodes does not fit
// into a cache with its names.

constexpr ActorId kNobody = ~ActorId{0};

/// Runs the most urgent act, of equals the one submitted first. The queue is a list through
/// ActorState::behind in that order, since an actor has one act here at most.
struct Stream {
  ActorId first = kNobody;
  bool busy = false;
};

struct ActorState {
  std::vector<std::uint32_t> awake;  ///< acts that may be able to fire; no other is
  std::uint64_t firing = 0;          ///< of the act below
  std::uint32_t act = 0;             ///< submitted or running
  ActorId behind = kNobody;          ///< the next in its stream's queue
  std::uint32_t stream = 0;
  std::uint32_t first_act = 0;  ///< in acts_
  ActorKind kind = ActorKind::kDataLoader;
  bool behind_training = false;  ///< snapshots pass it, and no step waits for these
  bool busy = false;
};

struct ActCost {
  double seconds = 0;
  std::uint32_t firings = 1;  ///< a round
  std::int32_t priority = 0;
};

/// Where an edge begins and ends, without its name.
struct Ends {
  ActRef producer, consumer;
};

/// When the layers of all nodes began and ended in one round.
struct Phase {
  double begin = std::numeric_limits<double>::infinity();
  double end = 0;
};

class Simulation {
 public:
  Simulation(const Plan& plan, const topology::Topology& topology, const nn::ModelSpec& spec,
             std::uint64_t tokens, std::uint64_t rounds, const SpanSink& sink)
      : plan_(plan),
        sink_(sink),
        first_measured_(rounds > 1 ? 1 : 0),
        end_measured_(rounds > 2 ? rounds - 1 : rounds),
        execution_(plan, rounds),
        round_end_(rounds, 0),
        phases_(rounds),
        streams_(2 * plan.nodes.size()),
        actors_(plan.actors.size()),
        wires_(plan, topology, forecast_.lines),
        layer_seconds_(plan.nodes.size(), 0) {
    CHECK(rounds >= 1);
    std::vector<nn::ModelSpec> of_ranks;
    for (std::uint32_t t = 0; t < plan.ranks; ++t)
      of_ranks.push_back(nn::spec_of_rank(spec, {t, plan.ranks}));
    for (const Actor& actor : plan.actors) {
      ActorState& state = actors_[actor.id];
      state.first_act = static_cast<std::uint32_t>(acts_.size());
      state.stream = 2 * actor.node + (computes(actor.kind) ? 0 : 1);
      state.kind = actor.kind;
      for (std::size_t i = 0; i < actor.acts.size(); ++i) {
        acts_.push_back({act_seconds(plan, of_ranks[actor.rank], tokens, actor, i),
                         actor.acts[i].firings, actor.acts[i].priority});
      }
    }
    forecast_.nodes.resize(plan.nodes.size());
    for (const Edge& edge : plan.edges) {
      // Tokens of snapshots are the last that a line carries: on a slow one they come with the
      // next round's, or the one after it.
      for (const ActorId end : {edge.producer, edge.consumer}) {
        const ActorKind kind = plan.actors[end].kind;
        if (edge.content == Content::kState && kind != ActorKind::kOptimizer &&
            kind != ActorKind::kGradientSync)
          actors_[end].behind_training = true;
      }
      ends_.push_back({{edge.producer, edge.producer_act}, {edge.consumer, edge.consumer_act}});
    }
  }

  Forecast run() {
    for (const Actor& actor : plan_.actors) {
      for (std::uint32_t i = 0; i < actor.acts.size(); ++i) wake({actor.id, i});
    }
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.time;
      handle(event);
    }
    return finish();
  }

 private:
  const Actor& actor(ActorId id) const { return plan_.actors[id]; }
  bool measured(std::uint64_t round) const {
    return round >= first_measured_ && round < end_measured_;
  }

  /// Something changed at an edge of this act.
  void wake(ActRef ref) {
    note_awake(ref);
    fire(ref.actor);
  }
  void note_awake(ActRef ref) {
    std::vector<std::uint32_t>& awake = actors_[ref.actor].awake;
    if (std::ranges::find(awake, ref.act) == awake.end()) awake.push_back(ref.act);
  }

  /// As a host does: of the acts that may fire the most urgent is submitted, one at a time.
  void fire(ActorId id) {
    ActorState& state = actors_[id];
    if (state.busy) return;
    std::erase_if(state.awake, [&](std::uint32_t act) { return !execution_.ready({id, act}); });
    if (state.awake.empty()) return;
    const ActCost* acts = &acts_[state.first_act];
    state.act = *std::ranges::min_element(state.awake, {}, [acts](std::uint32_t act) {
      return std::pair(-std::int64_t{acts[act].priority}, act);
    });
    state.firing = execution_.start({id, state.act});
    state.busy = true;
    submit(id, streams_[state.stream]);
    run_next(state.stream);
  }

  std::int32_t priority_of(ActorId id) const {
    return acts_[actors_[id].first_act + actors_[id].act].priority;
  }

  void submit(ActorId id, Stream& stream) {
    ActorId* place = &stream.first;
    while (*place != kNobody && priority_of(*place) >= priority_of(id))
      place = &actors_[*place].behind;
    actors_[id].behind = *place;
    *place = id;
  }

  void run_next(std::uint32_t index) {
    Stream& stream = streams_[index];
    if (stream.busy || stream.first == kNobody) return;
    const ActorId id = stream.first;
    const ActorState& state = actors_[id];
    stream.first = state.behind;
    stream.busy = true;
    const ActCost& cost = acts_[state.first_act + state.act];
    note_act(id, state, cost);
    push(now_ + cost.seconds, Event::Kind::kActEnds, id);
  }

  void note_act(ActorId id, const ActorState& state, const ActCost& cost) {
    const std::uint64_t round = state.firing / cost.firings;
    const NodeIndex node = state.stream / 2;
    const bool compute = state.stream % 2 == 0;
    const bool layers = state.kind == ActorKind::kLayerShard;
    ++forecast_.firings;
    if (measured(round)) {
      NodeUse& use = forecast_.nodes[node];
      (compute ? use.compute : use.io) += cost.seconds;
      if (layers) layer_seconds_[node] += cost.seconds;
    }
    if (layers) {
      phases_[round].begin = std::min(phases_[round].begin, now_);
      phases_[round].end = std::max(phases_[round].end, now_ + cost.seconds);
    }
    if (sink_) {
      sink_({compute ? Span::On::kCompute : Span::On::kIo, node, &actor(id).acts[state.act],
             &actor(id), state.firing, now_, cost.seconds});
    }
  }

  void push(double time, Event::Kind kind, std::uint32_t id) {
    events_.push({time, order_++, kind, id});
  }

  void handle(const Event& event) {
    switch (event.kind) {
      case Event::Kind::kActEnds:
        return act_ends(event.id);
      case Event::Kind::kLineFree:
        return line_free(event.id);
      case Event::Kind::kArrives:
        execution_.make_tokens(ends_[event.id].producer, 0);
        return wake(ends_[event.id].consumer);
      case Event::Kind::kCredited:
        execution_.return_slots(ends_[event.id].consumer, 0);
        return wake(ends_[event.id].producer);
    }
  }

  void act_ends(ActorId id) {
    ActorState& state = actors_[id];
    const ActRef ref{id, state.act};
    const std::uint64_t firing = state.firing;
    if (!state.behind_training) {
      double& end = round_end_[firing / acts_[state.first_act + ref.act].firings];
      end = std::max(end, now_);
    }
    streams_[state.stream].busy = false;
    run_next(state.stream);
    // What goes over a wire is on its way first; carriers have one port on each side.
    if (state.kind == ActorKind::kSend) {
      carry_next(wires_.wait(execution_.outputs(ref)[0].edge, order_++));
    } else {
      execution_.make_tokens(ref, firing);
    }
    if (state.kind == ActorKind::kReceive) {
      const EdgeId edge = execution_.inputs(ref)[0].edge;
      push(now_ + wires_.of(edge).way, Event::Kind::kCredited, edge);
    } else {
      execution_.return_slots(ref, firing);
    }
    // The actor sees first all that it has done to its own edges, then others hear of theirs.
    note_awake(ref);
    for_neighbours(ref, firing, [&](ActRef other) {
      if (other.actor == id) note_awake(other);
    });
    state.busy = false;
    fire(id);
    for_neighbours(ref, firing, [&](ActRef other) {
      if (other.actor != id) wake(other);
    });
  }

  template <typename F>
  void for_neighbours(ActRef ref, std::uint64_t firing, F&& tell) const {
    for (const Port& output : execution_.outputs(ref)) {
      if (makes_token(output, firing)) tell(ends_[output.edge].consumer);
    }
    for (const Port& input : execution_.inputs(ref)) {
      if (returns_slot(input, firing)) tell(ends_[input.edge].producer);
    }
  }

  void carry_next(std::uint32_t line) {
    const auto edge = wires_.begin(line);
    if (!edge) return;
    Wire& carried = wires_.of(*edge);
    note_message(plan_.edges[*edge], carried, line);
    ++carried.sent;
    push(now_ + carried.seconds, Event::Kind::kLineFree, line);
  }

  void note_message(const Edge& edge, const Wire& carried, std::uint32_t line) {
    if (measured(carried.sent / edge.tokens)) {
      forecast_.lines[line].bytes += carried.bytes;
      forecast_.lines[line].busy += carried.seconds;
    }
    if (!sink_) return;
    const Actor& sender = actor(edge.producer);
    sink_({Span::On::kLine, line, &sender.acts[edge.producer_act], &sender, carried.sent, now_,
           carried.seconds});
  }

  void line_free(std::uint32_t line) {
    const EdgeId edge = wires_.end(line);
    push(now_ + wires_.of(edge).way, Event::Kind::kArrives, edge);
    carry_next(line);
  }

  /// From seconds to shares.
  Forecast finish() {
    const auto counted = static_cast<double>(end_measured_ - first_measured_);
    const double measured_from = first_measured_ > 0 ? round_end_[0] : 0;
    forecast_.step_seconds = (round_end_[end_measured_ - 1] - measured_from) / counted;
    const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
    double phase = 0;
    for (std::uint64_t r = first_measured_; r < end_measured_; ++r)
      phase += phases_[r].end - phases_[r].begin;
    const auto memory = memory_of(plan_);
    for (std::size_t i = 0; i < forecast_.nodes.size(); ++i) {
      NodeUse& use = forecast_.nodes[i];
      use.compute = share(use.compute, forecast_.step_seconds * counted);
      use.io = share(use.io, forecast_.step_seconds * counted);
      use.bubble = 1 - share(layer_seconds_[i], phase);
      use.memory = memory[i];
    }
    for (LineUse& use : forecast_.lines) {
      use.bytes /= counted;
      use.busy = share(use.busy, forecast_.step_seconds * counted);
    }
    return std::move(forecast_);
  }

  const Plan& plan_;
  const SpanSink& sink_;
  /// Rounds: the first warms up, and the last is not in the way of another one.
  const std::uint64_t first_measured_, end_measured_;
  Forecast forecast_;
  Execution execution_;
  std::vector<double> round_end_;
  std::vector<Phase> phases_;    ///< by round
  std::vector<Stream> streams_;  ///< of each node: compute, io
  std::vector<ActorState> actors_;
  std::vector<ActCost> acts_;
  std::vector<Ends> ends_;  ///< of each edge
  Wires wires_;
  std::vector<double> layer_seconds_;  ///< by node
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  double now_ = 0;
};

}  // namespace

Forecast simulate(const Plan& plan, const topology::Topology& topology, const nn::ModelSpec& spec,
                  std::uint64_t tokens, std::uint64_t rounds, const SpanSink& sink) {
  return Simulation(plan, topology, spec, tokens, rounds, sink).run();
}

}  // namespace reef::plan
