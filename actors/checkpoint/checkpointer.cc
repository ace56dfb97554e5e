#include "actors/checkpoint/checkpointer.h"

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/sync/exchanges.h"
#include "ops/nn/tensor_rank.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

using checkpoint::TensorSlice;
using checkpoint::TensorView;

/// part [x owners, of each: x stages, of each: x ranks], residuals [x those that save any] ->
/// (nothing)
class Checkpointer final : public Task {
 public:
  explicit Checkpointer(const TaskSetup& setup) : setup_(setup) {
    const std::vector<plan::RankDeal> deals = plan::deals_of(setup.job, setup.plan);
    const std::uint32_t owners = deals[0].deal.owners();
    parts_.resize(std::size_t{owners} * setup.plan.stages * setup.plan.ranks);
    for (const plan::Actor& other : setup.plan.actors) {
      if (other.kind != plan::ActorKind::kOptimizer || other.replica >= owners) continue;
      parts_[(other.replica * setup.plan.stages + other.stage) * setup.plan.ranks + other.rank] =
          deals[other.rank].spoken_for({other.first_layer, other.last_layer}, other.replica);
    }
    if (plan::is_sharded(setup.plan)) return;
    for (const plan::Actor* sync : remembering(setup.plan)) residuals_.push_back(names_of(*sync));
  }

  std::size_t ports() const { return parts_.size() + residuals_.size(); }

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
      if (i < parts_.size()) {
        ATOLL_ASSIGN(const auto slices, slices_of(part, parts_[i]));
        ATOLL_TRY(writer.add_part(slices));
      } else {
        ATOLL_ASSIGN(const auto tensors, residual_views(part, residuals_[i - parts_.size()]));
        ATOLL_TRY(writer.add_part(tensors));
      }
    }
    ATOLL_ASSIGN(const auto folder, writer.commit(description(first.round.step)));
    ATOLL_TRY(checkpoint::prune(place, setup_.job.checkpoints.keep));
    setup_.events.checkpoint_written(first.round.step, folder.string());
    return {};
  }

 private:
  Result<std::vector<TensorSlice>> slices_of(const Token& part,
                                             const std::vector<plan::HeldSlice>& owned) const {
    if (part.tensors.size() != 3 * owned.size()) {
      return Error{Code::kTensor, "checkpoint", "a part does not hold its owner's tensors"};
    }
    std::vector<TensorSlice> slices;
    for (std::size_t i = 0; i < owned.size(); ++i) {
      const auto& [slice, parameter] = owned[i];
      const std::vector<std::int64_t>& shape = nn::whole_shape(parameter);
      const auto first = static_cast<std::uint64_t>(slice.first);
      const auto count = static_cast<std::uint64_t>(slice.count);
      const std::string_view suffixes[] = {"", checkpoint::kAdamM, checkpoint::kAdamV};
      for (std::size_t k = 0; k < 3; ++k) {
        slices.push_back({{slice.parameter + std::string(suffixes[k]),
                           "F32",
                           {count},
                           part.tensors[3 * i + k].bytes()},
                          {shape.begin(), shape.end()},
                          first,
                          parameter.part});
      }
    }
    return slices;
  }

  /// In the order in which a gradient sync puts them into its token.
  std::vector<std::string> names_of(const plan::Actor& sync) const {
    std::vector<std::string> names;
    for (const Exchange& exchange : exchanges_of(setup_.plan, sync)) {
      if (!exchange.saved) continue;
      const auto gradients = gradients_of(setup_.model, sync, exchange);
      for (const Gradient& gradient : gradients) names.push_back(residual_name(gradient, exchange));
      if (warm_elements(gradients, exchange) > 0)
        names.push_back(warm_name(setup_.plan, sync, exchange));
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
    description.pace = setup_.job.pace;
    description.model = nlohmann::json::parse(setup_.plan.descriptor)["spec"]["model"];
    if (auto feedback = feedback_signature(setup_.plan); !feedback.is_null())
      description.state["feedback"] = std::move(feedback);
    return description;
  }

  const TaskSetup setup_;
  std::vector<std::vector<plan::HeldSlice>> parts_;  ///< by port
  std::vector<std::vector<std::string>> residuals_;  ///< names of tensors, per port behind those
};

}  // namespace

Result<std::unique_ptr<Task>> make_checkpointer(const TaskSetup& setup, const plan::Actor& actor) {
  auto checkpointer = std::make_unique<Checkpointer>(setup);
  if (actor.acts[0].inputs.size() != checkpointer->ports())
    return Error{Code::kProto, actor.name, "not a part for each owner and stage"};
  return std::unique_ptr<Task>(std::move(checkpointer));
}

}  // namespace reef::actors
