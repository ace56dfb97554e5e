#include "scheduler/plan/buckets.h"

#include <algorithm>
#include <numeric>

#include "scheduler/plan/pieces.h"

namespace reef::plan {
namespace {

/// As long on a line of 1 Gbit/s as its round trip over a continent: fewer bytes would wait for
/// each other's way, more would leave later.
constexpr std::uint64_t kBucketBytes = std::uint64_t{4} << 20;
/// Of a model. What is left to send when backward is done is then about an eighth of it; each more
/// would cost actors and acts.
constexpr std::uint64_t kMostBuckets = 8;
constexpr std::uint64_t kMostOfAPlan = 256;  ///< validate() takes no more

/// With those of tied uses.
std::uint64_t gradient_bytes(const nn::ModelSpec& spec, const nn::Layer& layer) {
  std::uint64_t bytes = 0;
  for (const nn::Parameter& parameter : layer.parameters)
    bytes += 4 * static_cast<std::uint64_t>(parameter.elements());
  for (const std::string& tied : layer.tied) {
    for (const nn::Layer& owner : spec.layers) {
      for (const nn::Parameter& parameter : owner.parameters) {
        if (parameter.name == tied) bytes += 4 * static_cast<std::uint64_t>(parameter.elements());
      }
    }
  }
  return bytes;
}

}  // namespace

Buckets::Buckets(LayerRange stage, std::span<const std::uint32_t> cuts) : stage_(stage) {
  const auto begin = std::upper_bound(cuts.begin(), cuts.end(), stage.first);
  const auto end = std::lower_bound(begin, cuts.end(), stage.last);
  cuts_ = cuts.subspan(static_cast<std::size_t>(begin - cuts.begin()),
                       static_cast<std::size_t>(end - begin));
}

LayerRange Buckets::layers(std::uint32_t bucket) const {
  return {bucket == 0 ? stage_.first : cuts_[bucket - 1],
          bucket == cuts_.size() ? stage_.last : cuts_[bucket]};
}

std::uint32_t Buckets::of(std::uint32_t layer) const {
  return static_cast<std::uint32_t>(std::upper_bound(cuts_.begin(), cuts_.end(), layer) -
                                    cuts_.begin());
}

Buckets buckets_of(const Plan& plan, const Actor& actor) {
  return Buckets({actor.first_layer, actor.last_layer}, plan.buckets);
}

std::vector<std::uint32_t> cut_buckets(const nn::ModelSpec& spec,
                                       std::span<const LayerRange> stages,
                                       const job::Parallelism& parallelism) {
  std::vector<std::uint32_t> cuts;
  if (parallelism.replicas() == 1) return cuts;
  std::vector<std::uint64_t> bytes;
  for (const nn::Layer& layer : spec.layers) bytes.push_back(gradient_bytes(spec, layer));
  const std::uint64_t owners = parallelism.shares_state() ? parallelism.replicas() : 1;
  const std::uint64_t all = std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0});
  std::uint64_t least = parallelism.bucket_bytes;
  if (least == 0) {
    // Where weights are gathered for each, the largest bucket is what memory must hold.
    least = kBucketBytes * owners;
    if (!parallelism.shares_weights()) least = std::max(least, all / kMostBuckets);
  }
  if (spec.layers.size() > kMostOfAPlan) least = std::max(least, all / kMostOfAPlan);
  for (const LayerRange& stage : stages) {
    std::uint64_t left = 0;
    for (std::uint32_t i = stage.first; i < stage.last; ++i) left += bytes[i];
    // From the end, where backward begins; what is left for the first one is no less.
    std::uint64_t filled = 0;
    const auto place = static_cast<std::ptrdiff_t>(cuts.size());
    for (std::uint32_t i = stage.last; i-- > stage.first + 1;) {
      filled += bytes[i];
      left -= bytes[i];
      if (filled < least || left < least) continue;
      cuts.insert(cuts.begin() + place, i);
      filled = 0;
    }
  }
  return cuts;
}

}  // namespace reef::plan
