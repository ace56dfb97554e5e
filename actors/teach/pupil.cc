#include "actors/teach/pupil.h"

#include "actors/teach/lessons.h"
#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

/// act ask: asked -> targets
class Pupil final : public Task {
 public:
  explicit Pupil(const TaskSetup& setup, std::uint32_t replica)
      : replica_(replica),
        model_(setup.model),
        training_(setup.job.training),
        distillation_(*setup.job.distillation),
        lessons_(*setup.lessons) {}

  Status run(Firing& firing) override {
    const Token& asked = *firing.inputs[0];
    follow_input(firing);
    firing.outputs[0]->tensors = {asked.tensors.at(0)};
    if (!asked.round.training() || job::share_of(distillation_, asked.round.step) == 0) return {};
    const ops::Tensor &targets = asked.tensors[0], &tokens = asked.tensors.at(1);
    const ops::Shape shape{training_.sequences_per_leaf, training_.context};
    if (targets.shape() != shape || tokens.shape() != shape)
      return Error{Code::kTensor, "pupil", "tokens or targets of another shape than a micro-batch"};
    ATOLL_TRY(nn::check_tokens(model_.config, tokens));
    ATOLL_TRY(nn::check_targets(model_.config, targets));
    lessons_.ask({asked.round.number, replica_, asked.micro}, tokens.values<std::int32_t>(),
                 targets.values<std::int32_t>());
    return {};
  }

 private:
  const std::uint32_t replica_;
  const nn::ModelSpec& model_;
  const job::Training training_;
  const job::Distillation distillation_;
  Lessons& lessons_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_pupil(const TaskSetup& setup, const plan::Actor& actor) {
  if (setup.lessons == nullptr) return Error{Code::kProto, actor.name, "the job is no student's"};
  return std::unique_ptr<Task>(std::make_unique<Pupil>(setup, actor.replica));
}

}  // namespace reef::actors
