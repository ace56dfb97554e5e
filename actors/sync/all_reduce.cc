#include "actors/sync/all_reduce.h"

#include <algorithm>

#include "actors/sync/rounding.h"
#include "ops/functional/functional.h"
#include "scheduler/plan/strips.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// act offer: value -> kept, sent; act combine k: kept, received -> kept, sent; the last act:
/// -> sum, or the rank's strip of it.
class AllReduce final : public Task {
 public:
  AllReduce(const TaskSetup& setup, const plan::Actor& actor)
      : rank_(actor.rank), ranks_(setup.plan.ranks) {
    const plan::Edge& sum = setup.plan.edges[actor.acts.back().outputs[0].edge];
    gives_strip_ = plan::taker_of(setup.plan, sum).kind == plan::ActorKind::kJoin;
    for (std::size_t act = 0; act + 1 < actor.acts.size(); ++act) {
      const auto edge = [&](std::size_t output) -> const plan::Edge& {
        return setup.plan.edges[actor.acts[act].outputs[output].edge];
      };
      exchanges_.push_back({edge(0).codec,
                            setup.plan.actors[edge(1).consumer].kind == plan::ActorKind::kSend,
                            {},
                            nullptr});
    }
  }

  Status run(Firing& firing) override {
    const Token& input = *firing.inputs[0];
    follow_input(firing);
    if (input.empty) return {};
    std::vector<Tensor> value = input.tensors;
    if (firing.act > 0) ATOLL_TRY(add(firing, value));
    if (firing.act < exchanges_.size()) return offer(firing, std::move(value));
    firing.outputs[0]->tensors = gives_strip_ ? strips_of(value) : std::move(value);
    return {};
  }

 private:
  struct Exchange {
    std::string codec;     ///< through which what is given away passes; empty: as it is
    bool travels = false;  ///< to another node
    std::vector<ops::Shape> shapes;
    std::unique_ptr<Rounding> rounding;
  };

  static Status add(Firing& firing, std::vector<Tensor>& value) {
    const Token &kept = *firing.inputs[0], &received = *firing.inputs[1];
    const auto same = [](const Tensor& a, const Tensor& b) { return a.spec() == b.spec(); };
    if (received.empty || received.round != kept.round || received.micro != kept.micro ||
        !std::ranges::equal(received.tensors, kept.tensors, same)) {
      return Error{Code::kProto, "ranks", "a rank sent the sums of something else"};
    }
    for (std::size_t i = 0; i < value.size(); ++i)
      value[i] = ops::add(firing.context, value[i], received.tensors[i]);
    return {};
  }

  /// What is kept is what the partner will see, so that both ends add the same numbers.
  Status offer(Firing& firing, std::vector<Tensor> value) {
    Exchange& exchange = exchanges_[firing.act];
    if (!exchange.codec.empty()) {
      ATOLL_TRY(prepare(exchange, value));
      ATOLL_ASSIGN(firing.outputs[1]->encoded,
                   exchange.rounding->round(firing.context, value, exchange.travels));
    }
    firing.outputs[0]->tensors = value;
    firing.outputs[1]->tensors = std::move(value);
    return {};
  }

  /// Shapes are seen with the first value; later ones have the same.
  static Status prepare(Exchange& exchange, const std::vector<Tensor>& tensors) {
    if (exchange.rounding) return {};
    for (const Tensor& tensor : tensors) exchange.shapes.push_back(tensor.shape());
    ATOLL_ASSIGN(exchange.rounding, Rounding::make(exchange.codec, exchange.shapes));
    return {};
  }

  std::vector<Tensor> strips_of(const std::vector<Tensor>& sums) const {
    std::vector<Tensor> strips;
    for (const Tensor& sum : sums) {
      const auto strip = plan::strip_of(static_cast<std::uint64_t>(sum.elements()), ranks_, rank_);
      strips.push_back(sum.reshape({sum.elements()})
                           .slice(static_cast<std::int64_t>(strip.first),
                                  static_cast<std::int64_t>(strip.count)));
    }
    return strips;
  }

  const std::uint32_t rank_;
  const std::uint32_t ranks_;
  bool gives_strip_ = false;
  std::vector<Exchange> exchanges_;  ///< by act; the last act has none
};

}  // namespace

Result<std::unique_ptr<Task>> make_all_reduce(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<AllReduce>(setup, actor));
}

}  // namespace reef::actors
