#include "actors/optimize/clip_norm.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

/// squares [x stages, of each: x ranks, of each: x owners] -> scale [x stages, of each: x ranks],
/// report
class ClipNorm final : public Task {
 public:
  explicit ClipNorm(const TaskSetup& setup, const plan::Actor& actor)
      : limit_(setup.job.optimizer.clip_norm) {
    const std::vector<plan::RankDeal> deals = plan::deals_of(setup.job, setup.plan);
    const std::uint32_t owners = deals[0].deal.owners();
    parameters_.resize(std::size_t{setup.plan.stages} * setup.plan.ranks * owners);
    for (const plan::Actor& other : setup.plan.actors) {
      if (other.kind != plan::ActorKind::kOptimizer || other.replica != actor.replica) continue;
      const plan::LayerRange layers{other.first_layer, other.last_layer};
      for (std::uint32_t owner = 0; owner < owners; ++owner) {
        auto& parameters =
            parameters_[(other.stage * setup.plan.ranks + other.rank) * owners + owner];
        for (const auto& [slice, parameter] : deals[other.rank].spoken_for(layers, owner)) {
          parameters.insert(parameters.end(), static_cast<std::size_t>(plan::pieces_in(slice)),
                            slice.parameter);
        }
      }
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
    for (std::size_t port = 0; port < parameters_.size(); ++port) {
      const Token& token = *firing.inputs[port];
      if (token.round != first.round || token.scalars.size() != parameters_[port].size()) {
        return Error{Code::kProto, "norm", "square sums of another round or stage"};
      }
      // The owners of a rank's part of a parameter follow each other, so its pieces come in order.
      for (std::size_t i = 0; i < token.scalars.size(); ++i)
        squares[parameters_[port][i]] += token.scalars[i];
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
  std::vector<std::vector<std::string>> parameters_;  ///< of each sum, by port
};

}  // namespace

Result<std::unique_ptr<Task>> make_clip_norm(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<ClipNorm>(setup, actor));
}

}  // namespace reef::actors
