#include "scheduler/plan/pieces.h"

#include <algorithm>
#include <set>

#include "ops/nn/tensor_rank.h"

namespace reef::plan {
namespace {

/// Gives the piece to the owner, as part of the slice before it if it continues that.
void give(std::vector<Slice>& slices, const std::string& parameter, std::int64_t first,
          std::int64_t count, std::uint32_t owner) {
  if (!slices.empty() && slices.back().owner == owner) {
    slices.back().count += count;
  } else {
    slices.push_back({parameter, first, count, owner});
  }
}

/// Where the run of each owner ends among `total` elements more, so that in the end all have as
/// much as that allows.
std::vector<double> ends_of(const std::vector<double>& had, double total) {
  const auto owners = static_cast<double>(had.size());
  double sum = total, wanted = 0;
  for (const double before : had) sum += before;
  std::vector<double> ends;
  for (const double before : had) {
    wanted += std::max(0.0, sum / owners - before);
    ends.push_back(wanted);
  }
  for (double& end : ends) end *= wanted > 0 ? total / wanted : 0;
  return ends;
}

std::vector<Buckets> whole(std::span<const LayerRange> stages) {
  std::vector<Buckets> buckets;
  for (const LayerRange& stage : stages) buckets.emplace_back(stage, std::span<std::uint32_t>());
  return buckets;
}

}  // namespace

std::int64_t pieces_in(const Slice& slice) {
  return (slice.count + kPieceElements - 1) / kPieceElements;
}

bool holds(std::uint32_t replica, const Slice& slice, std::uint32_t exchanges) {
  return ((slice.owner ^ replica) & ((std::uint64_t{1} << exchanges) - 1)) == 0;
}

Deal::Deal(const nn::ModelSpec& spec, std::span<const LayerRange> stages, std::uint32_t owners)
    : Deal(spec, whole(stages), owners) {}

Deal::Deal(const nn::ModelSpec& spec, std::span<const Buckets> stages, std::uint32_t owners)
    : owners_(owners) {
  Elements elements;
  std::set<std::string, std::less<>> copied;
  for (const nn::Layer& layer : spec.layers) {
    auto& names = names_.emplace_back();
    for (const nn::Parameter& parameter : layer.parameters) {
      names.push_back(parameter.name);
      elements[parameter.name] = parameter.elements();
      if (nn::is_copied(parameter, spec.tensor)) copied.insert(parameter.name);
    }
  }
  for (const Buckets& stage : stages) {
    std::vector<double> had(owners), had_copied(owners);
    for (std::uint32_t b = 0; b < stage.count(); ++b) {
      std::vector<std::string> names = names_of(stage.layers(b));
      // Stages of a peer's plan may overlap; an element still has one owner.
      std::erase_if(names, [this](const std::string& name) { return slices_.contains(name); });
      // Not std::ranges', whose result Clang 14 cannot compile.
      const auto split =
          std::stable_partition(names.begin(), names.end(),
                                [&](const std::string& name) { return !copied.contains(name); });
      deal({names.begin(), split}, elements, had);
      deal({split, names.end()}, elements, had_copied);
    }
  }
}

void Deal::deal(const std::vector<std::string>& names, const Elements& elements,
                std::vector<double>& had) {
  double total = 0, before = 0;
  for (const std::string& name : names) total += static_cast<double>(elements.at(name));
  const std::vector<double> ends = ends_of(had, total);
  std::uint32_t owner = 0;
  for (const std::string& name : names) {
    for (std::int64_t first = 0; first < elements.at(name); first += kPieceElements) {
      const std::int64_t count = std::min(kPieceElements, elements.at(name) - first);
      // By its middle.
      const double middle = before + static_cast<double>(count) / 2;
      while (owner + 1 < owners_ && middle >= ends[owner]) ++owner;
      give(slices_[name], name, first, count, owner);
      had[owner] += static_cast<double>(count);
      before += static_cast<double>(count);
    }
  }
}

std::vector<std::string> Deal::names_of(LayerRange layers) const {
  std::vector<std::string> names;
  for (std::size_t i = layers.first; i < std::min<std::size_t>(layers.last, names_.size()); ++i)
    names.insert(names.end(), names_[i].begin(), names_[i].end());
  std::ranges::sort(names);
  return names;
}

std::span<const Slice> Deal::of(std::string_view parameter) const {
  const auto found = slices_.find(parameter);
  return found == slices_.end() ? std::span<const Slice>() : std::span(found->second);
}

std::vector<Slice> Deal::of_layers(LayerRange layers) const {
  std::vector<Slice> slices;
  for (const std::string& name : names_of(layers)) {
    const auto some = of(name);
    slices.insert(slices.end(), some.begin(), some.end());
  }
  return slices;
}

std::vector<Slice> Deal::owned(LayerRange layers, std::uint32_t replica) const {
  std::vector<Slice> slices = of_layers(layers);
  std::erase_if(slices, [&](const Slice& slice) { return slice.owner != owner(replica); });
  return slices;
}

std::vector<HeldSlice> RankDeal::held(LayerRange layers, std::uint32_t replica) const {
  std::vector<HeldSlice> held;
  for (const Slice& slice : deal.owned(layers, replica)) {
    for (std::size_t i = layers.first; i < layers.last; ++i) {
      for (const nn::Parameter& parameter : spec.layers[i].parameters) {
        if (parameter.name == slice.parameter) held.push_back({slice, parameter});
      }
    }
  }
  return held;
}

std::vector<HeldSlice> RankDeal::spoken_for(LayerRange layers, std::uint32_t replica) const {
  std::vector<HeldSlice> spoken = held(layers, replica);
  std::erase_if(
      spoken, [this](const HeldSlice& one) { return !nn::speaks_for(one.parameter, spec.tensor); });
  return spoken;
}

bool is_sharded(const Plan& plan) {
  return std::ranges::any_of(
      plan.actors, [](const Actor& actor) { return actor.kind == ActorKind::kAllGather; });
}

Deal deal_of(const nn::ModelSpec& spec, const Plan& plan) {
  std::vector<Buckets> stages;
  for (const Actor& actor : plan.actors) {
    if (actor.kind == ActorKind::kOptimizer && actor.replica == 0 && actor.rank == 0)
      stages.push_back(buckets_of(plan, actor));
  }
  return Deal(spec, stages, is_sharded(plan) ? plan.replicas : 1);
}

std::vector<RankDeal> deals_of(const job::Job& job, const Plan& plan) {
  const nn::ModelSpec whole = job::spec_of(job);
  std::vector<RankDeal> deals;
  for (std::uint32_t t = 0; t < plan.ranks; ++t) {
    nn::ModelSpec spec = nn::spec_of_rank(whole, {t, plan.ranks});
    Deal deal = deal_of(spec, plan);
    deals.push_back({std::move(spec), std::move(deal)});
  }
  return deals;
}

}  // namespace reef::plan
