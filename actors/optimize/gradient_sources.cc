#include "actors/optimize/gradient_sources.h"

#include <algorithm>
#include <string>
#include <utility>

#include "ops/functional/functional.h"
#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

using ops::Tensor;
using Run = std::pair<std::string, std::int64_t>;  ///< a gradient and its first element

/// What each port brings to `actor`, in the order of its token.
std::vector<std::vector<Run>> reduced_of(const TaskSetup& setup, const plan::Actor& actor) {
  const nn::Stage stage(setup.model, actor.first_layer, actor.last_layer);
  const plan::Deal deal = plan::deal_of(setup.model, setup.plan);
  const plan::Buckets buckets = plan::buckets_of(setup.plan, actor);
  const std::uint32_t ports = setup.plan.shares_weights ? 1 : buckets.count();
  std::vector<std::vector<Run>> reduced(ports);
  for (std::uint32_t b = 0; b < buckets.count(); ++b) {
    const plan::LayerRange layers = buckets.layers(b);
    auto& of_bucket = reduced[std::min(b, ports - 1)];
    for (const std::string& name :
         gradient_names(nn::Stage(setup.model, layers.first, layers.last))) {
      if (name.find('@') != std::string::npos && !stage.tied().empty()) continue;
      for (const plan::Slice& slice : deal.of(nn::parameter_of(name))) {
        if (slice.owner == deal.owner(actor.replica)) of_bucket.push_back({name, slice.first});
      }
    }
  }
  return reduced;
}

}  // namespace

GradientSources::GradientSources(const TaskSetup& setup, const plan::Actor& actor,
                                 std::span<const plan::HeldSlice> slices) {
  const std::vector<std::vector<Run>> reduced = reduced_of(setup, actor);
  buckets_ = reduced.size();
  std::size_t remotes = 0;
  for (const auto& [slice, parameter] : slices) {
    Source& source = sources_.emplace_back();
    source.parameter = slice.parameter;
    const auto at = [&](const std::string& name) -> std::optional<Place> {
      for (std::size_t b = 0; b < reduced.size(); ++b) {
        const auto found = std::ranges::find(reduced[b], Run(name, slice.first));
        if (found != reduced[b].end())
          return Place{b, static_cast<std::size_t>(found - reduced[b].begin())};
      }
      return std::nullopt;
    };
    const auto own = at(slice.parameter);
    CHECK(own.has_value()) << slice.parameter;
    source.gradient = *own;
    source.tied_local = at(nn::use_name(slice.parameter));
    const bool remote = actor.acts[0].inputs.size() > buckets_ && !source.tied_local &&
                        nn::is_tied(setup.model, slice.parameter);
    if (remote) source.tied_remote = remotes++;
  }
}

Result<std::vector<Tensor>> GradientSources::gathered(const Firing& firing) const {
  const auto reduced = [&](const Place& place) -> const Tensor& {
    return firing.inputs[place.bucket]->tensors.at(place.tensor);
  };
  std::vector<Tensor> gradients;
  for (const Source& source : sources_) {
    Tensor gradient = reduced(source.gradient);
    if (source.tied_local)
      gradient = ops::add(firing.context, gradient, reduced(*source.tied_local));
    if (source.tied_remote) {
      const std::string& name = source.parameter;
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

}  // namespace reef::actors
