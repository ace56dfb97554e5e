#include "scheduler/plan/validation/actors.h"

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "scheduler/plan/buckets.h"
#include "scheduler/plan/shape.h"
#include "scheduler/plan/validation/refusal.h"

namespace reef::plan {
namespace {

bool carries(ActorKind kind) { return kind == ActorKind::kSend || kind == ActorKind::kReceive; }

class ActorCheck {
 public:
  explicit ActorCheck(const Plan& plan)
      : plan_(plan), sharing_(sharing_of(plan)), seen_(plan.edges.size()) {}

  Status run() {
    for (std::size_t i = 0; i < plan_.actors.size(); ++i) ATOLL_TRY(check(plan_.actors[i], i));
    for (const Edge& edge : plan_.edges) {
      const Ends& ends = seen_[edge.id];
      if (!ends.produced || !ends.consumed) return broken(edge.name, "an end without a port");
    }
    return {};
  }

 private:
  struct Ends {
    bool produced = false;
    bool consumed = false;
  };

  Status check(const Actor& actor, std::size_t index) {
    if (!good_name(actor.name) || !names_.insert(actor.name).second) {
      return broken(actor.name, "not a name, or the name of two actors");
    }
    if (actor.id != index) return broken(actor.name, "its id is not its place");
    if (actor.node >= plan_.nodes.size() || actor.replica >= plan_.replicas ||
        actor.stage >= plan_.stages || actor.rank >= plan_.ranks) {
      return broken(actor.name, "on a node, replica, stage or rank that is not there");
    }
    if (actor.first_layer > actor.last_layer)
      return broken(actor.name, "layers that end before they begin");
    const std::vector<ActShape> shapes = shapes_of(actor, plan_, sharing_);
    if (shapes.empty()) return broken(actor.name, "unknown kind");
    if (shapes.size() != actor.acts.size()) return broken(actor.name, "not the acts of its kind");
    for (std::uint32_t i = 0; i < actor.acts.size(); ++i) ATOLL_TRY(check(actor, i, shapes[i]));
    return {};
  }

  Status check(const Actor& actor, std::uint32_t index, const ActShape& shape) {
    const Act& act = actor.acts[index];
    const std::string where = actor.name + "." + act.name;
    if (!good_name(act.name)) return broken(where, "not a name");
    const bool right = carries(actor.kind) ? is_rate(act.firings) : act.firings == shape.firings;
    if (!right) return broken(where, "fires at a rate that is not its kind's");
    std::vector<Content> inputs, outputs;
    for (const Port& port : act.inputs) ATOLL_TRY(check(port, actor, index, true, inputs));
    for (const Port& port : act.outputs) ATOLL_TRY(check(port, actor, index, false, outputs));
    if (!matches(shape.inputs, inputs) || !matches(shape.outputs, outputs)) {
      return broken(where, "not the ports of its kind");
    }
    if (carries(actor.kind)) return check_carrier(actor, act);
    return {};
  }

  /// Whether something fires so often. A carrier has one end's replica, but its edge may be of the
  /// other's: of all of them, losses go to one.
  bool is_rate(std::uint32_t firings) {
    if (rates_.empty()) {
      rates_.insert(1);
      for (std::uint32_t r = 0; r < plan_.replicas; r += plan_.context) {
        const std::uint32_t micro = micro_batches_of(plan_, r);
        rates_.insert({micro, micro * plan_.context, micro * (plan_.context + 1)});
      }
      for (const Actor& actor : plan_.actors) {
        if (plan_.shares_weights && actor.kind == ActorKind::kLayerShard)
          rates_.insert(micro_batches_of(plan_, 0) * buckets_of(plan_, actor).count());
      }
    }
    return rates_.contains(firings) && firings > 0;
  }

  Status check(const Port& port, const Actor& actor, std::uint32_t act, bool input,
               std::vector<Content>& contents) {
    const std::string where = actor.name + "." + actor.acts[act].name;
    if (port.edge >= plan_.edges.size()) return broken(where, "a port without an edge");
    const Edge& edge = plan_.edges[port.edge];
    const bool ours = input ? edge.consumer == actor.id && edge.consumer_act == act
                            : edge.producer == actor.id && edge.producer_act == act;
    bool& taken = input ? seen_[port.edge].consumed : seen_[port.edge].produced;
    if (!ours || taken) return broken(where, "a port at an edge of another act");
    taken = true;
    if (port.group != actor.acts[act].firings / edge.tokens)
      return broken(where, "a group that is not its rate");
    contents.push_back(edge.content);
    return {};
  }

  /// One token in, the same token out, with the wire on one side.
  Status check_carrier(const Actor& actor, const Act& act) const {
    const Edge& in = plan_.edges[act.inputs[0].edge];
    const Edge& out = plan_.edges[act.outputs[0].edge];
    const bool sends = actor.kind == ActorKind::kSend;
    if (in.content != out.content || in.bytes != out.bytes || in.dtype != out.dtype ||
        in.tokens != out.tokens || in.tokens != act.firings || in.wire == sends ||
        out.wire != sends) {
      return broken(actor.name, "does not carry one edge over a wire");
    }
    return {};
  }

  const Plan& plan_;
  const Sharing sharing_;
  std::vector<Ends> seen_;  ///< by edge
  std::unordered_set<std::string_view> names_;
  std::unordered_set<std::uint32_t> rates_;  ///< see is_rate()
};

}  // namespace

Status check_actors(const Plan& plan) { return ActorCheck(plan).run(); }

}  // namespace reef::plan
