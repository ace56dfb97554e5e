#include "scheduler/plan/live.h"

#include <algorithm>
#include <optional>

#include "scheduler/plan/execution.h"
#include "scheduler/plan/names.h"

namespace reef::plan {
namespace {

constexpr std::uint64_t kRounds =
    2;  ///< the second shows that the first left every edge as it found it

class Proof {
 public:
  explicit Proof(const Plan& plan) : plan_(plan), execution_(plan, kRounds) {}

  Status run() {
    std::vector<ActRef> pending;
    for (const Actor& actor : plan_.actors) {
      for (std::uint32_t i = 0; i < actor.acts.size(); ++i) pending.push_back({actor.id, i});
    }
    while (!pending.empty()) {
      const ActRef ref = pending.back();
      pending.pop_back();
      bool fired = false;
      for (; execution_.ready(ref); fired = true) fire(ref);
      if (fired) wake_neighbours(ref, pending);
    }
    if (execution_.complete()) return {};
    return Error{Code::kJobGraph, plan_.job, "the plan would lock up: " + explain()};
  }

 private:
  struct Wait {
    ActRef who;
    EdgeId edge;
    bool for_token;  ///< else for a free slot
    ActRef on;
  };

  const Act& act(ActRef ref) const { return plan_.actors[ref.actor].acts[ref.act]; }
  std::string name(ActRef ref) const { return act_name(plan_, ref.actor, ref.act); }

  void fire(ActRef ref) {
    const std::uint64_t firing = execution_.start(ref);
    execution_.return_slots(ref, firing);
    execution_.make_tokens(ref, firing);
  }

  void wake_neighbours(ActRef ref, std::vector<ActRef>& pending) const {
    for (const Port& port : act(ref).inputs) {
      pending.push_back({plan_.edges[port.edge].producer, plan_.edges[port.edge].producer_act});
    }
    for (const Port& port : act(ref).outputs) {
      pending.push_back({plan_.edges[port.edge].consumer, plan_.edges[port.edge].consumer_act});
    }
  }

  /// What keeps an act from its next firing, first port first.
  std::optional<Wait> wait_of(ActRef ref) const {
    if (execution_.exhausted(ref)) return std::nullopt;
    const std::uint64_t firing = execution_.fired(ref);
    for (const Port& port : act(ref).inputs) {
      const Edge& edge = plan_.edges[port.edge];
      if (takes_token(port, firing) && execution_.edge(port.edge).readable == 0) {
        return Wait{ref, port.edge, true, {edge.producer, edge.producer_act}};
      }
    }
    for (const Port& port : act(ref).outputs) {
      const Edge& edge = plan_.edges[port.edge];
      if (makes_token(port, firing) && execution_.edge(port.edge).free == 0) {
        return Wait{ref, port.edge, false, {edge.consumer, edge.consumer_act}};
      }
    }
    return std::nullopt;
  }

  std::optional<Wait> first_wait() const {
    for (const Actor& actor : plan_.actors) {
      for (std::uint32_t i = 0; i < actor.acts.size(); ++i) {
        if (auto wait = wait_of({actor.id, i})) return wait;
      }
    }
    return std::nullopt;
  }

  /// Follows who waits for whom until an act comes back: that loop is the cycle.
  std::string explain() const {
    std::vector<Wait> chain;
    auto wait = first_wait();
    if (!wait) return "an edge keeps a token of an earlier round";
    auto begin = chain.end();
    while (wait) {
      begin = std::find_if(chain.begin(), chain.end(), [&](const Wait& earlier) {
        return earlier.who.actor == wait->who.actor && earlier.who.act == wait->who.act;
      });
      if (begin != chain.end()) break;
      chain.push_back(*wait);
      wait = wait_of(chain.back().on);
    }
    if (!wait) begin = chain.begin();
    std::string text;
    for (auto link = begin; link != chain.end(); ++link)
      text += (text.empty() ? "" : "; ") + sentence(*link);
    return text + "; " + name(chain.back().on) +
           (wait ? " closes the cycle" : " has nothing left to do");
  }

  std::string sentence(const Wait& wait) const {
    const Edge& edge = plan_.edges[wait.edge];
    if (wait.for_token)
      return name(wait.who) + " waits for a token on " + edge.name + " from " + name(wait.on);
    return name(wait.who) + " waits for one of the " + std::to_string(edge.slots) + " slots of " +
           edge.name + " from " + name(wait.on);
  }

  const Plan& plan_;
  Execution execution_;
};

}  // namespace

Status prove_live(const Plan& plan) { return Proof(plan).run(); }

}  // namespace reef::plan
