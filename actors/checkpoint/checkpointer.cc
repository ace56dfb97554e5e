#include "actors/checkpoint/checkpointer.h"

#include <algorithm>

#include "actors/checkpoint/format/checkpoint.h"
#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

using checkpoint::TensorView;

/// part [x stages] -> (nothing)
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
  }

  Status run(Firing& firing) override {
    const Token& first = *firing.inputs[0];
    if (first.empty) return {};
    const std::string place = setup_.run_folder + "/checkpoints";
    ATOLL_ASSIGN(auto writer, checkpoint::CheckpointWriter::begin(place, first.round.step));
    for (std::size_t stage = 0; stage < firing.inputs.size(); ++stage) {
      const Token& part = *firing.inputs[stage];
      if (part.round != first.round || part.empty) {
        return Error{Code::kProto, "checkpoint", "the stages' parts belong to different rounds"};
      }
      ATOLL_ASSIGN(const auto tensors, views(part, parameters_[stage]));
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

  checkpoint::Description description(std::uint64_t step) const {
    checkpoint::Description description;
    description.step = step;
    description.job = setup_.job.name;
    description.seed = setup_.job.training.seed;
    description.model = nlohmann::json::parse(setup_.plan.descriptor)["spec"]["model"];
    return description;
  }

  const TaskSetup setup_;
  std::vector<std::vector<nn::Parameter>> parameters_;  ///< per stage, in canonical order
};

}  // namespace

Result<std::unique_ptr<Task>> make_checkpointer(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<Checkpointer>(setup, actor));
}

}  // namespace reef::actors
