#include "actors/optimize/optimizer.h"

#include <array>

#include "actors/optimize/gradient_sources.h"
#include "actors/optimize/outer_steps.h"
#include "actors/optimize/starting_values.h"
#include "ops/functional/functional.h"
#include "ops/nn/tensor_rank.h"
#include "ops/nn/trained_parameter.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// act measure: reduced [x buckets], [tied gradients] -> squares [x norms], held;
/// act update: held, scale, [correction] -> weights or slices, [tied weights], [snapshot],
/// [progress].
/// Where ranks share the stage, act take: reduced [x buckets], [tied gradients] -> split, [copied],
/// and act measure: split, [sums of copied] -> squares [x norms], held.
class Optimizer final : public Task {
 public:
  Optimizer(const TaskSetup& setup, const plan::Actor& actor)
      : setup_(setup),
        actor_(actor),
        options_(setup.job.optimizer),
        slices_(owned(setup, actor)),
        outer_(setup, slices_),
        sources_(setup, actor, slices_) {
    find_outputs();
  }

  Status start(ops::Context& context, std::span<Token* const> initial) override {
    ATOLL_ASSIGN(trained_, starting_values(context, setup_.job, slices_));
    for (std::size_t i = 0; i < initial.size(); ++i)
      initial[i]->tensors = weights(!weight_outputs_.at(i).tied);
    return {};
  }

  Status run(Firing& firing) override {
    if (firing.act + 1 == actor_.acts.size()) return update(firing);
    for (Token* output : firing.outputs) {
      output->round = firing.inputs[0]->round;
      output->empty = firing.inputs[0]->empty;
    }
    if (firing.inputs[0]->empty) return {};
    if (!shared_) {
      ATOLL_ASSIGN(const auto gradients, sources_.gathered(firing));
      return measure(firing, gradients);
    }
    if (firing.act == 0) return take(firing);
    ATOLL_ASSIGN(const auto gradients, joined(firing));
    return measure(firing, gradients);
  }

 private:
  struct WeightOutput {
    std::size_t port = 0;
    bool tied = false;  ///< for another stage
  };

  static std::vector<plan::HeldSlice> owned(const TaskSetup& setup, const plan::Actor& actor) {
    const plan::RankDeal deal{setup.model, plan::deal_of(setup.model, setup.plan)};
    return deal.held({actor.first_layer, actor.last_layer}, actor.replica);
  }

  void find_outputs() {
    const std::vector<Port>& outputs = actor_.acts.back().outputs;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const plan::Edge& edge = setup_.plan.edges[outputs[i].edge];
      if (plan::taker_of(setup_.plan, edge).kind == plan::ActorKind::kOuterStore)
        progress_output_ = i;
      else if (edge.content == plan::Content::kState)
        snapshot_output_ = i;
      else
        weight_outputs_.push_back({i, plan::taker_of(setup_.plan, edge).stage != actor_.stage});
    }
  }

  bool is_copied(std::size_t i) const {
    return nn::is_copied(slices_[i].parameter, setup_.model.tensor);
  }

  /// Gives the ranks what they must add up first.
  Status take(Firing& firing) const {
    ATOLL_ASSIGN(const auto gradients, sources_.gathered(firing));
    for (std::size_t i = 0; i < gradients.size(); ++i)
      firing.outputs[is_copied(i) ? 1 : 0]->tensors.push_back(gradients[i]);
    return {};
  }

  /// What was taken, with the ranks' sums in their places.
  Result<std::vector<Tensor>> joined(Firing& firing) const {
    std::array<std::size_t, 2> at{};
    std::vector<Tensor> gradients;
    for (std::size_t i = 0; i < slices_.size(); ++i) {
      const std::size_t port = is_copied(i) ? 1 : 0;
      if (firing.inputs[port]->round != firing.inputs[0]->round)
        return Error{Code::kProto, slices_[i].parameter.name, "a gradient of another round"};
      gradients.push_back(firing.inputs[port]->tensors.at(at[port]++));
    }
    return gradients;
  }

  Status measure(Firing& firing, const std::vector<Tensor>& gradients) const {
    std::vector<double> squares;
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i].elements() != slices_[i].slice.count)
        return Error{Code::kTensor, slices_[i].parameter.name, "the gradient has another shape"};
      firing.outputs.back()->tensors.push_back(gradients[i].reshape(shape_of(slices_[i])));
      if (!nn::speaks_for(slices_[i].parameter, setup_.model.tensor)) continue;
      for (const double sum : ops::square_sums(firing.context, gradients[i]))
        squares.push_back(sum);
    }
    for (Token* norm : firing.outputs.first(firing.outputs.size() - 1)) norm->scalars = squares;
    return {};
  }

  Status update(Firing& firing) {
    const Token& held = *firing.inputs[0];
    const Token& scale = *firing.inputs[1];
    for (Token* output : firing.outputs) output->round = held.round;
    if (!held.empty && outer_.counts(held.round)) {
      ops::Update factors;
      factors.lr = static_cast<float>(
          job::learning_rate(options_, held.round.step, setup_.job.training.steps));
      factors.beta1 = static_cast<float>(options_.beta1);
      factors.beta2 = static_cast<float>(options_.beta2);
      factors.epsilon = static_cast<float>(options_.epsilon);
      factors.step =
          static_cast<std::int64_t>(outer_.moments_are_new() ? ++updates_ : held.round.step);
      factors.grad_scale = static_cast<float>(scale.scalars.at(0));
      factors.weight_decay = static_cast<float>(options_.weight_decay);
      nn::update(firing.context, trained_, held.tensors, factors);
    }
    const bool corrected = firing.inputs.size() > 2 && !firing.inputs[2]->empty;
    if (corrected) ATOLL_TRY(outer_.correct(firing.context, *firing.inputs[2], trained_));
    for (const WeightOutput& output : weight_outputs_) {
      Token& token = *firing.outputs[output.port];
      token.empty = held.empty && gather_keeps_ && !corrected;
      if (!token.empty) token.tensors = weights(!output.tied);
    }
    if (snapshot_output_)
      snapshot(firing.context, *firing.outputs[snapshot_output_], held.round.snapshot);
    if (progress_output_) outer_.tell(firing.context, trained_, *firing.outputs[progress_output_]);
    return {};
  }

  /// Handles to what layers see, in canonical order; `all`, or only those that another stage uses
  /// too.
  std::vector<Tensor> weights(bool all) const {
    std::vector<Tensor> handles;
    for (const nn::TrainedParameter& trained : trained_) {
      if (all || nn::is_tied(setup_.model, trained.parameter.name))
        handles.push_back(trained.weight());
    }
    return handles;
  }

  /// A copy of what it speaks for, so that training goes on while it is written.
  void snapshot(ops::Context& context, Token& token, bool wanted) const {
    token.empty = !wanted;
    if (!wanted) return;
    for (const nn::TrainedParameter& trained : trained_) {
      if (!nn::speaks_for(trained.parameter, setup_.model.tensor)) continue;
      for (const Tensor* tensor : {&trained.master, &trained.mean, &trained.square}) {
        token.tensors.push_back(copy_of(context, *tensor));
      }
    }
  }

  const TaskSetup setup_;
  const plan::Actor& actor_;
  const job::Optimizer& options_;
  /// The one all-gather of a stage still has what an evaluation leaves as it was.
  const bool gather_keeps_ = plan::is_sharded(setup_.plan) && !setup_.plan.shares_weights;
  const bool shared_ = setup_.plan.ranks > 1;  ///< by ranks
  const std::vector<plan::HeldSlice> slices_;  ///< in canonical order, as are
  const OuterSteps outer_;
  std::uint64_t updates_ = 0;                  ///< of moments that are newer than the job
  std::vector<nn::TrainedParameter> trained_;  ///< what each is trained as
  const GradientSources sources_;
  std::vector<WeightOutput> weight_outputs_;
  std::size_t snapshot_output_ = 0;  ///< 0: none
  std::size_t progress_output_ = 0;  ///< likewise
};

}  // namespace

Result<std::unique_ptr<Task>> make_optimizer(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<Optimizer>(setup, actor));
}

}  // namespace reef::actors
