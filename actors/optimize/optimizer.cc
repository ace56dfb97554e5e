#include "actors/optimize/optimizer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/checkpoint/format/huggingface.h"
#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "ops/nn/tensor_rank.h"
#include "ops/nn/trained_parameter.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// Where the gradients of one owned slice come from.
struct Source {
  struct Place {
    std::size_t bucket = 0;  ///< the port
    std::size_t tensor = 0;  ///< of its token
  };
  Place gradient;
  std::optional<Place> tied_local;  ///< of another use's gradient
  std::optional<std::size_t>
      tied_remote;  ///< place in the token from another stage's gradient sync
};

/// act measure: reduced [x buckets], [tied gradients] -> squares [x norms], held;
/// act update: held, scale -> weights or slices, [tied weights], [snapshot].
/// Where ranks share the stage, act take: reduced [x buckets], [tied gradients] -> split, [copied],
/// and act measure: split, [sums of copied] -> squares [x norms], held.
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
    const plan::Buckets buckets = plan::buckets_of(setup.plan, actor);
    buckets_ = setup.plan.shares_weights ? 1 : buckets.count();
    std::vector<std::vector<Run>> reduced(buckets_);
    for (std::uint32_t b = 0; b < buckets.count(); ++b) {
      const plan::LayerRange layers = buckets.layers(b);
      auto& of_bucket = reduced[std::min(b, buckets_ - 1)];
      for (const std::string& name :
           gradient_names(nn::Stage(setup.model, layers.first, layers.last))) {
        if (name.find('@') != std::string::npos && !stage.tied().empty()) continue;
        for (const plan::Slice& slice : deal.of(nn::parameter_of(name))) {
          if (slice.owner == deal.owner(actor.replica)) of_bucket.push_back({name, slice.first});
        }
      }
    }
    find_gradients(reduced);
    find_outputs();
  }

  Status start(ops::Context& context, std::span<Token* const> initial) override {
    ATOLL_TRY(start_parameters(context));
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
      ATOLL_ASSIGN(const auto gradients, gathered(firing));
      return measure(firing, gradients);
    }
    if (firing.act == 0) return take(firing);
    ATOLL_ASSIGN(const auto gradients, joined(firing));
    return measure(firing, gradients);
  }

 private:
  using Run = std::pair<std::string, std::int64_t>;  ///< a gradient and its first element

  struct WeightOutput {
    std::size_t port = 0;
    bool tied = false;  ///< for another stage
  };

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
        ATOLL_ASSIGN(const Tensor taken, saved(i, *model));
        trained_.push_back(begin(context, i, taken));
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
  /// With these weights and moments of zero.
  nn::TrainedParameter begin(ops::Context& context, std::size_t i, const Tensor& weights) const {
    return nn::trained(context, parameters_[i], ops::to_device(context, weights.reshape(shape(i))),
                       ops::zeros(context, ops::DType::kF32, shape(i)),
                       ops::zeros(context, ops::DType::kF32, shape(i)));
  }

  /// Slice i of what somebody saved.
  Result<Tensor> saved(std::size_t i, const checkpoint::HuggingFaceModel& model) const {
    const nn::Parameter& parameter = parameters_[i];
    const checkpoint::TensorView* view = model.find(parameter.name);
    if (!checkpoint::holds(view, parameter)) {
      return Error{Code::kCheckpoint, setup_.job.model_from,
                   "has no '" + parameter.name + "' of the shape that its config.json had"};
    }
    const Tensor whole =
        Tensor::empty(ops::Pool::host(), ops::DType::kF32, {nn::whole_elements(parameter)});
    checkpoint::read_f32(*view, whole.values<float>());
    Tensor slice = Tensor::empty(ops::Pool::host(), ops::DType::kF32, {slices_[i].count});
    nn::for_each_run(parameter, slices_[i].first, slices_[i].count,
                     [&](std::int64_t place, std::int64_t first, std::int64_t count) {
                       std::ranges::copy(whole.slice(first, count).values<float>(),
                                         slice.slice(place, count).values<float>().begin());
                     });
    return slice;
  }

  /// `reduced`: of each bucket.
  void find_gradients(const std::vector<std::vector<Run>>& reduced) {
    std::size_t remotes = 0;
    for (const plan::Slice& slice : slices_) {
      Source& source = sources_.emplace_back();
      const auto at = [&](const std::string& name) -> std::optional<Source::Place> {
        for (std::size_t b = 0; b < reduced.size(); ++b) {
          const auto found = std::ranges::find(reduced[b], Run(name, slice.first));
          if (found != reduced[b].end())
            return Source::Place{b, static_cast<std::size_t>(found - reduced[b].begin())};
        }
        return std::nullopt;
      };
      const auto own = at(slice.parameter);
      CHECK(own.has_value()) << slice.parameter;
      source.gradient = *own;
      source.tied_local = at(nn::use_name(slice.parameter));
      const bool remote = actor_.acts[0].inputs.size() > buckets_ && !source.tied_local &&
                          nn::is_tied(setup_.model, slice.parameter);
      if (remote) source.tied_remote = remotes++;
    }
  }

  void find_outputs() {
    const std::vector<Port>& outputs = actor_.acts.back().outputs;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const plan::Edge& edge = setup_.plan.edges[outputs[i].edge];
      if (edge.content == plan::Content::kState)
        snapshot_output_ = i;
      else
        weight_outputs_.push_back({i, plan::taker_of(setup_.plan, edge).stage != actor_.stage});
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
      const Tensor saved = Tensor::empty(ops::Pool::host(), ops::DType::kF32, shape(i));
      ATOLL_TRY(read(from, parameter.name + std::string(suffix), i, saved.values<float>()));
      *tensor = ops::to_device(context, saved);
    }
    return nn::trained(context, parameter, master, mean, square);
  }

  /// What a checkpoint has of slice i.
  Status read(const checkpoint::Checkpoint& from, const std::string& name, std::size_t i,
              std::span<float> to) const {
    const nn::Parameter& parameter = parameters_[i];
    const auto elements = static_cast<std::uint64_t>(nn::whole_elements(parameter));
    Status status;
    nn::for_each_run(parameter, slices_[i].first, slices_[i].count,
                     [&](std::int64_t place, std::int64_t first, std::int64_t count) {
                       if (!status.ok()) return;
                       status = from.read(name, elements, static_cast<std::uint64_t>(first),
                                          to.subspan(static_cast<std::size_t>(place),
                                                     static_cast<std::size_t>(count)));
                     });
    return status;
  }

  /// Of each slice, all uses together.
  Result<std::vector<Tensor>> gathered(Firing& firing) const {
    const auto reduced = [&](const Source::Place& place) -> const Tensor& {
      return firing.inputs[place.bucket]->tensors.at(place.tensor);
    };
    std::vector<Tensor> gradients;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const Source& source = sources_[i];
      Tensor gradient = reduced(source.gradient);
      if (source.tied_local)
        gradient = ops::add(firing.context, gradient, reduced(*source.tied_local));
      if (source.tied_remote) {
        const std::string& name = parameters_[i].name;
        const Token& tied = *firing.inputs[buckets_];
        if (tied.round != firing.inputs[0]->round)
          return Error{Code::kProto, name, "tied gradient of another round"};
        const Tensor& other = tied.tensors.at(*source.tied_remote);
        if (other.shape() != gradient.shape() || other.dtype() != gradient.dtype()) {
          return Error{Code::kTensor, name, "the tied gradient has another shape"};
        }
        gradient = ops::add(firing.context, gradient, other);
      }
      gradients.push_back(std::move(gradient));
    }
    return gradients;
  }

  bool is_copied(std::size_t i) const { return nn::is_copied(parameters_[i], setup_.model.tensor); }

  /// Gives the ranks what they must add up first.
  Status take(Firing& firing) const {
    ATOLL_ASSIGN(const auto gradients, gathered(firing));
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
        return Error{Code::kProto, slices_[i].parameter, "a gradient of another round"};
      gradients.push_back(firing.inputs[port]->tensors.at(at[port]++));
    }
    return gradients;
  }

  Status measure(Firing& firing, const std::vector<Tensor>& gradients) const {
    std::vector<double> squares;
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i].elements() != slices_[i].count)
        return Error{Code::kTensor, slices_[i].parameter, "the gradient has another shape"};
      firing.outputs.back()->tensors.push_back(gradients[i].reshape(shape(i)));
      if (!nn::speaks_for(parameters_[i], setup_.model.tensor)) continue;
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
    for (const WeightOutput& output : weight_outputs_) {
      Token& token = *firing.outputs[output.port];
      token.empty = held.empty && gather_keeps_;
      if (!token.empty) token.tensors = weights(!output.tied);
    }
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
  std::uint32_t buckets_ = 1;                  ///< ports of reduced gradients
  std::vector<plan::Slice> slices_;            ///< in canonical order, as are
  std::vector<nn::Parameter> parameters_;      ///< which each slice is of
  std::vector<Source> sources_;
  std::vector<nn::TrainedParameter> trained_;
  std::vector<WeightOutput> weight_outputs_;
  std::size_t snapshot_output_ = 0;  ///< 0: none
};

}  // namespace

Result<std::unique_ptr<Task>> make_optimizer(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<Optimizer>(setup, actor));
}

}  // namespace reef::actors
