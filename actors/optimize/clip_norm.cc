#include "actors/optimize/clip_norm.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

/// squares [x stages] -> scale [x stages], report
class ClipNorm final : public Task {
 public:
  explicit ClipNorm(const TaskSetup& setup, const plan::Actor& actor)
      : limit_(setup.job.optimizer.clip_norm), names_(setup.plan.stages) {
    for (const plan::Actor& other : setup.plan.actors) {
      if (other.kind != plan::ActorKind::kOptimizer || other.replica != actor.replica) continue;
      const nn::Stage stage(setup.model, other.first_layer, other.last_layer);
      for (const auto& parameter : stage.parameters())
        names_[other.stage].push_back(parameter.name);
      std::sort(names_[other.stage].begin(), names_[other.stage].end());
    }
  }

  Status run(Firing& firing) override {
    const Token& first = *firing.inputs[0];
    for (Token* output : firing.outputs) {
      output->round = first.round;
      output->empty = first.empty;
    }
    if (first.empty) return {};
    std::map<std::string_view, double> squares;
    for (std::size_t stage = 0; stage < names_.size(); ++stage) {
      const Token& token = *firing.inputs[stage];
      if (token.round != first.round || token.scalars.size() != names_[stage].size()) {
        return Error{Code::kProto, "norm", "square sums of another round or stage"};
      }
      for (std::size_t i = 0; i < names_[stage].size(); ++i)
        squares[names_[stage][i]] = token.scalars[i];
    }
    double sum = 0;
    for (const auto& [name, square] : squares) sum += square;  // canonical order: by name
    const double norm = std::sqrt(sum);
    if (!std::isfinite(norm)) {
      return Error{Code::kPoison, "step " + std::to_string(first.round.step),
                   "the gradient's norm is not finite"};
    }
    const double scale = limit_ > 0 ? std::min(1.0, limit_ / (norm + 1e-6)) : 1.0;
    for (Token* output : firing.outputs) output->scalars = {scale, norm};
    return {};
  }

 private:
  double limit_;
  std::vector<std::vector<std::string>> names_;  ///< per stage, in canonical order
};

}  // namespace

Result<std::unique_ptr<Task>> make_clip_norm(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<ClipNorm>(setup, actor));
}

}  // namespace reef::actors
