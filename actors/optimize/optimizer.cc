#include "actors/optimize/optimizer.h"

#include <algorithm>
#include <optional>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/huggingface.h"
#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "ops/nn/trained_parameter.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

using ops::Tensor;

enum : std::size_t { kMeasure, kUpdate };

/// Where the gradients of one owned slice come from.
struct Source {
  std::size_t gradient = 0;               ///< place in the reduced token
  std::optional<std::size_t> tied_local;  ///< place of another use's gradient in the reduced token
  std::optional<std::size_t>
      tied_remote;  ///< place in the token from another stage's gradient sync
};

/// act measure: reduced, [tied gradients] -> squares [x norms], held;
/// act update: held, scale -> weights or slices, [tied weights], [snapshot].
class Optimizer final : public Task {
 public:
  Optimizer(const TaskSetup& setup, const plan::Actor& actor)
      : setup_(setup), actor_(actor), options_(setup.job.optimizer) {
    const nn::Stage stage(setup.model, actor.first_layer, actor.last_layer);
    const plan::Deal deal = plan::deal_of(setup.model, setup.plan);
    slices_ = deal.owned({actor.first_layer, actor.last_layer}, actor.replica);
    for (const plan::Slice& slice : slices_) {
      for (const nn::Parameter& parameter : stage.parameters()) {
        if (parameter.name == slice.parameter) parameters_.push_back(parameter);
      }
    }
    std::vector<Run> reduced;
    for (const std::string& name : gradient_names(stage)) {
      if (name.find('@') != std::string::npos && !stage.tied().empty()) continue;
      for (const plan::Slice& slice : deal.of(nn::parameter_of(name))) {
        if (slice.owner == deal.owner(actor.replica)) reduced.push_back({name, slice.first});
      }
    }
    find_gradients(reduced);
    find_outputs();
  }

  Status start(ops::Context& context, std::span<Token* const> initial) override {
    ATOLL_TRY(start_parameters(context));
    for (std::size_t i = 0; i < initial.size(); ++i) initial[i]->tensors = weights(i == 0);
    return {};
  }

  Status run(Firing& firing) override {
    return firing.act == kMeasure ? measure(firing) : update(firing);
  }

 private:
  using Run = std::pair<std::string, std::int64_t>;  ///< a gradient and its first element

  /// From a checkpoint, a model that somebody saved, or initial values.
  Status start_parameters(ops::Context& context) {
    const std::string& resume = setup_.job.checkpoints.resume;
    std::optional<checkpoint::Checkpoint> checkpoint;
    std::optional<checkpoint::HuggingFaceModel> model;
    if (!resume.empty()) {
      ATOLL_ASSIGN(checkpoint, checkpoint::Checkpoint::open(resume));
    } else if (!setup_.job.model_from.empty()) {
      ATOLL_ASSIGN(model, checkpoint::load_folder(setup_.job.model_from));
    }
    for (std::size_t i = 0; i < slices_.size(); ++i) {
      if (checkpoint) {
        ATOLL_ASSIGN(auto restored, restore(context, i, *checkpoint));
        trained_.push_back(std::move(restored));
      } else if (model) {
        ATOLL_ASSIGN(const Tensor taken, take(parameters_[i], *model));
        trained_.push_back(begin(context, i, part_of(taken, i)));
      } else {
        trained_.push_back(begin(context, i,
                                 nn::initial_slice(parameters_[i], setup_.job.training.seed,
                                                   slices_[i].first, slices_[i].count)));
      }
    }
    return {};
  }

  bool is_whole(std::size_t i) const { return slices_[i].count == parameters_[i].elements(); }
  /// The parameter's where one owner has all of it; else its run is a vector.
  ops::Shape shape(std::size_t i) const {
    return is_whole(i) ? ops::Shape(parameters_[i].shape) : ops::Shape{slices_[i].count};
  }
  /// A copy, so that the rest can go; or all.
  Tensor part_of(const Tensor& whole, std::size_t i) const {
    if (is_whole(i)) return whole;
    return whole.reshape({whole.elements()})
        .slice(slices_[i].first, slices_[i].count)
        .clone(ops::Pool::host());
  }
  /// With these weights and moments of zero.
  nn::TrainedParameter begin(ops::Context& context, std::size_t i, const Tensor& weights) const {
    return nn::trained(context, parameters_[i], ops::to_device(context, weights.reshape(shape(i))),
                       ops::zeros(context, ops::DType::kF32, shape(i)),
                       ops::zeros(context, ops::DType::kF32, shape(i)));
  }

  Result<Tensor> take(const nn::Parameter& parameter,
                      const checkpoint::HuggingFaceModel& model) const {
    const checkpoint::TensorView* view = model.find(parameter.name);
    if (!checkpoint::holds(view, parameter)) {
      return Error{Code::kCheckpoint, setup_.job.model_from,
                   "has no '" + parameter.name + "' of the shape that its config.json had"};
    }
    Tensor master = Tensor::empty(ops::Pool::host(), ops::DType::kF32, ops::Shape(parameter.shape));
    checkpoint::read_f32(*view, master.values<float>());
    return master;
  }

  void find_gradients(const std::vector<Run>& reduced) {
    std::size_t remotes = 0;
    for (const plan::Slice& slice : slices_) {
      Source& source = sources_.emplace_back();
      const auto at = [&](const std::string& name) -> std::optional<std::size_t> {
        const auto found = std::find(reduced.begin(), reduced.end(), Run(name, slice.first));
        if (found == reduced.end()) return std::nullopt;
        return static_cast<std::size_t>(found - reduced.begin());
      };
      const auto own = at(slice.parameter);
      CHECK(own.has_value()) << slice.parameter;
      source.gradient = *own;
      source.tied_local = at(nn::use_name(slice.parameter));
      const bool remote = actor_.acts[kMeasure].inputs.size() > 1 && !source.tied_local &&
                          nn::is_tied(setup_.model, slice.parameter);
      if (remote) source.tied_remote = remotes++;
    }
  }

  void find_outputs() {
    for (std::size_t i = 1; i < actor_.acts[kUpdate].outputs.size(); ++i) {
      const plan::Edge& edge = setup_.plan.edges[actor_.acts[kUpdate].outputs[i].edge];
      (edge.content == plan::Content::kState ? snapshot_output_ : tied_output_) = i;
    }
  }

  /// Checkpoints hold f32 whatever the precision, so that a run goes on with the same bits.
  Result<nn::TrainedParameter> restore(ops::Context& context, std::size_t i,
                                       const checkpoint::Checkpoint& from) const {
    const nn::Parameter& parameter = parameters_[i];
    Tensor master, mean, square;
    for (auto [suffix, tensor] :
         {std::pair{std::string_view(), &master}, std::pair{checkpoint::kAdamM, &mean},
          std::pair{checkpoint::kAdamV, &square}}) {
      *tensor = Tensor::empty(context.pool(), ops::DType::kF32, shape(i));
      ATOLL_TRY(from.read(parameter.name + std::string(suffix),
                          static_cast<std::uint64_t>(parameter.elements()),
                          static_cast<std::uint64_t>(slices_[i].first), tensor->values<float>()));
    }
    return nn::trained(context, parameter, master, mean, square);
  }

  Status measure(Firing& firing) {
    const Token& reduced = *firing.inputs[0];
    for (Token* output : firing.outputs) {
      output->round = reduced.round;
      output->empty = reduced.empty;
    }
    if (reduced.empty) return {};
    std::vector<double> squares;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const Source& source = sources_[i];
      Tensor gradient = reduced.tensors.at(source.gradient);
      if (source.tied_local)
        gradient = ops::add(firing.context, gradient, reduced.tensors.at(*source.tied_local));
      if (source.tied_remote) {
        const std::string& name = parameters_[i].name;
        const Token& tied = *firing.inputs[1];
        if (tied.round != reduced.round)
          return Error{Code::kProto, name, "tied gradient of another round"};
        const Tensor& other = tied.tensors.at(*source.tied_remote);
        if (other.shape() != gradient.shape() || other.dtype() != gradient.dtype()) {
          return Error{Code::kTensor, name, "the tied gradient has another shape"};
        }
        gradient = ops::add(firing.context, gradient, other);
      }
      if (gradient.elements() != slices_[i].count)
        return Error{Code::kTensor, slices_[i].parameter, "the gradient has another shape"};
      for (const double sum : ops::square_sums(firing.context, gradient)) squares.push_back(sum);
      firing.outputs.back()->tensors.push_back(gradient.reshape(shape(i)));
    }
    for (Token* norm : firing.outputs.first(firing.outputs.size() - 1)) norm->scalars = squares;
    return {};
  }

  Status update(Firing& firing) {
    const Token& held = *firing.inputs[0];
    const Token& scale = *firing.inputs[1];
    for (Token* output : firing.outputs) output->round = held.round;
    if (!held.empty) {
      ops::Update factors;
      factors.lr = static_cast<float>(
          job::learning_rate(options_, held.round.step, setup_.job.training.steps));
      factors.beta1 = static_cast<float>(options_.beta1);
      factors.beta2 = static_cast<float>(options_.beta2);
      factors.epsilon = static_cast<float>(options_.epsilon);
      factors.step = static_cast<std::int64_t>(held.round.step);
      factors.grad_scale = static_cast<float>(scale.scalars.at(0));
      factors.weight_decay = static_cast<float>(options_.weight_decay);
      nn::update(firing.context, trained_, held.tensors, factors);
    }
    // The all-gather still has what an evaluation leaves as it was.
    firing.outputs[0]->empty = held.empty && is_sharded_;
    if (!firing.outputs[0]->empty) firing.outputs[0]->tensors = weights(true);
    if (tied_output_) firing.outputs[tied_output_]->tensors = weights(false);
    if (snapshot_output_)
      snapshot(firing.context, *firing.outputs[snapshot_output_], held.round.snapshot);
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

  /// A copy, so that training goes on while it is written.
  void snapshot(ops::Context& context, Token& token, bool wanted) const {
    token.empty = !wanted;
    if (!wanted) return;
    for (const nn::TrainedParameter& trained : trained_) {
      for (const Tensor* tensor : {&trained.master, &trained.mean, &trained.square}) {
        token.tensors.push_back(tensor->clone(context.pool()));
      }
    }
  }

  const TaskSetup setup_;
  const plan::Actor& actor_;
  const job::Optimizer& options_;
  const bool is_sharded_ = plan::is_sharded(setup_.plan);
  std::vector<plan::Slice> slices_;        ///< in canonical order, as are
  std::vector<nn::Parameter> parameters_;  ///< which each slice is of
  std::vector<Source> sources_;
  std::vector<nn::TrainedParameter> trained_;
  std::size_t tied_output_ = 0;      ///< 0: none, since output 0 is the stage's own weights
  std::size_t snapshot_output_ = 0;  ///< 0: none
};

}  // namespace

Result<std::unique_ptr<Task>> make_optimizer(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<Optimizer>(setup, actor));
}

}  // namespace reef::actors
