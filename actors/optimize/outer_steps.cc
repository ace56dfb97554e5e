#include "actors/optimize/outer_steps.h"

#include <algorithm>

#include "actors/store/local_steps/outer_store.h"
#include "ops/functional/functional.h"
#include "ops/nn/tensor_rank.h"

namespace reef::actors {

OuterSteps::OuterSteps(const TaskSetup& setup, std::span<const plan::HeldSlice> slices)
    : job_(setup.job), rank_(setup.model.tensor) {
  if (!job_.island) return;
  fragments_.emplace(job::spec_of(job_), job_.local_steps->fragments);
  for (const plan::HeldSlice& held : slices)
    fragment_of_.push_back(fragments_->fragment_of(held.parameter.name));
}

bool OuterSteps::counts(const Round& round) const {
  return !job_.island || actors::counts(*job_.island, round);
}

void OuterSteps::tell(ops::Context& context, std::span<const nn::TrainedParameter> trained,
                      Token& progress) const {
  progress.empty = true;
  for (std::uint32_t f = 0; f < fragments_->count(); ++f) {
    if (is_told(*job_.local_steps, progress.round, f)) progress.empty = false;
  }
  for (std::size_t i = 0; i < trained.size() && !progress.empty; ++i) {
    if (!nn::speaks_for(trained[i].parameter, rank_)) continue;
    if (is_told(*job_.local_steps, progress.round, fragment_of_[i]))
      progress.tensors.push_back(ops::copy_of(context, trained[i].master));
  }
}

Status OuterSteps::correct(ops::Context& context, const Token& correction,
                           std::span<nn::TrainedParameter> trained) const {
  std::size_t at = 0;
  for (std::size_t i = 0; i < trained.size(); ++i) {
    const bool concerned = std::ranges::any_of(
        correction.scalars, [&](double fragment) { return fragment == fragment_of_[i]; });
    if (!concerned) continue;
    if (at == correction.tensors.size() ||
        correction.tensors[at].elements() != trained[i].master.elements())
      return Error{Code::kTensor, trained[i].parameter.name, "a correction of another shape"};
    nn::correct(context, trained[i], correction.tensors[at++].reshape(trained[i].master.shape()));
  }
  return {};
}

}  // namespace reef::actors
