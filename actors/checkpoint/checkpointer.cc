#include "actors/checkpoint/checkpointer.h"

#include <algorithm>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/sync/exchanges.h"
#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

using checkpoint::TensorView;

/// part [x stages], residuals [x those that save any] -> (nothing)
class Checkpointer final : public Task {
 public:
  Checkpointer(const TaskSetup& setup, const plan::Actor&)
      : setup_(setup), parameters_(setup.plan.stages) {
    for (const plan::Actor& other : setup.plan.actors) {
      if (other.kind != plan::ActorKind::kOptimizer || other.replica != 0) continue;
      const nn::Stage stage(setup.model, other.first_layer, other.last_layer);
      auto& parameters = parameters_[other.stage];
      parameters = stage.parameters();
      std::sort(parameters.begin(), parameters.end(),
                [](const auto& a, const auto& b) { return a.name < b.name; });
    }
    for (const plan::Actor* sync : remembering(setup.plan)) residuals_.push_back(names_of(*sync));
  }

  Status run(Firing& firing) override {
    const Token& first = *firing.inputs[0];
    if (first.empty) return {};
    const std::string place = setup_.run_folder + "/checkpoints";
    ATOLL_ASSIGN(auto writer, checkpoint::CheckpointWriter::begin(place, first.round.step));
    for (std::size_t i = 0; i < firing.inputs.size(); ++i) {
      const Token& part = *firing.inputs[i];
      if (part.round != first.round || part.empty) {
        return Error{Code::kProto, "checkpoint", "the parts belong to different rounds"};
      }
      const std::size_t stages = parameters_.size();
      ATOLL_ASSIGN(const auto tensors, i < stages ? views(part, parameters_[i])
                                                  : residual_views(part, residuals_[i - stages]));
      ATOLL_TRY(writer.add_part(tensors));
    }
    ATOLL_ASSIGN(const auto folder, writer.commit(description(first.round.step)));
    ATOLL_TRY(checkpoint::prune(place, setup_.job.checkpoints.keep));
    setup_.events.checkpoint_written(first.round.step, folder.string());
    return {};
  }

 private:
  static Result<std::vector<TensorView>> views(const Token& part,
                                               const std::vector<nn::Parameter>& parameters) {
    if (part.tensors.size() != 3 * parameters.size()) {
      return Error{Code::kTensor, "checkpoint", "a part does not hold this stage's tensors"};
    }
    std::vector<TensorView> views;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const std::string_view suffixes[] = {"", checkpoint::kAdamM, checkpoint::kAdamV};
      for (std::size_t k = 0; k < 3; ++k) {
        const ops::Tensor& tensor = part.tensors[3 * i + k];
        std::vector<std::uint64_t> shape(parameters[i].shape.begin(), parameters[i].shape.end());
        views.push_back({parameters[i].name + std::string(suffixes[k]), "F32", std::move(shape),
                         tensor.bytes()});
      }
    }
    return views;
  }

  /// In the order in which a gradient sync puts them into its token.
  std::vector<std::string> names_of(const plan::Actor& sync) const {
    std::vector<std::string> names;
    for (const Exchange& exchange : exchanges_of(setup_.plan, sync)) {
      if (!exchange.saved) continue;
      const auto gradients = gradients_of(setup_.model, sync, exchange.tied);
      for (const Gradient& gradient : gradients) names.push_back(residual_name(gradient, exchange));
      if (warm_elements(gradients, exchange) > 0) names.push_back(warm_name(sync, exchange));
    }
    return names;
  }

  static Result<std::vector<TensorView>> residual_views(const Token& part,
                                                        const std::vector<std::string>& names) {
    if (part.tensors.size() != names.size()) {
      return Error{Code::kTensor, "checkpoint", "a part does not hold its replica's residuals"};
    }
    std::vector<TensorView> views;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto extents = part.tensors[i].shape().extents();
      views.push_back({names[i], "F32", {extents.begin(), extents.end()}, part.tensors[i].bytes()});
    }
    return views;
  }

  checkpoint::Description description(std::uint64_t step) const {
    checkpoint::Description description;
    description.step = step;
    description.job = setup_.job.name;
    description.seed = setup_.job.training.seed;
    description.model = nlohmann::json::parse(setup_.plan.descriptor)["spec"]["model"];
    if (auto feedback = feedback_signature(setup_.plan); !feedback.is_null())
      description.state["feedback"] = std::move(feedback);
    return description;
  }

  const TaskSetup setup_;
  std::vector<std::vector<nn::Parameter>> parameters_;  ///< per stage, in canonical order
  std::vector<std::vector<std::string>> residuals_;     ///< names of tensors, per port behind those
};

}  // namespace

Result<std::unique_ptr<Task>> make_checkpointer(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<Checkpointer>(setup, actor));
}

}  // namespace reef::actors
