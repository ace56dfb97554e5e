#include "scheduler/plan/layout/frame.h"

#include <bit>
#include <numeric>

#include "ops/nn/tensor_rank.h"
#include "scheduler/plan/layout.h"

namespace reef::plan {

RankPart::RankPart(const nn::ModelSpec& its_spec, const std::vector<LayerRange>& stages,
                   std::vector<StageSize> its_sizes, std::uint32_t owners)
    : spec(its_spec), sizes(std::move(its_sizes)), deal(spec, stages, owners) {
  for (const LayerRange& stage : stages) {
    auto& of_owners = shares.emplace_back(deal.owners());
    auto& slices = gradients.emplace_back();
    for (std::uint32_t i = stage.first; i < stage.last; ++i) {
      for (const nn::Parameter& parameter : spec.layers[i].parameters) {
        for (const Slice& slice : deal.of(parameter.name)) {
          slices.push_back(slice);
          Share& owned = of_owners[slice.owner];
          const auto count = static_cast<std::uint64_t>(slice.count);
          owned.weights += count * ops::size_of(parameter.dtype);
          owned.gradients += 4 * count;
          if (nn::is_copied(parameter, spec.tensor)) owned.copied += 4 * count;
          owned.squares += 64 * static_cast<std::uint64_t>(pieces_in(slice));
        }
      }
      for (const std::string& name : spec.layers[i].tied) {
        const auto some = deal.of(name);
        slices.insert(slices.end(), some.begin(), some.end());
        if (stage.last == spec.layers.size()) tied.insert(tied.end(), some.begin(), some.end());
      }
    }
  }
}

Frame::Frame(const job::Job& the_job, const topology::Topology& the_topology,
             placement::Spread the_spread)
    : job(the_job),
      topology(the_topology),
      builder(job, topology),
      shards(shards_of(job.parallelism)),
      schedule(job.parallelism.schedule),
      stages(job.parallelism.stages()),
      spread(the_spread),
      tokens(tokens_per_shard(job)),
      last(stages - 1),
      sharded(job.parallelism.shares_state()),
      syncs(job.parallelism.shares_gradients() ? micro(0) : 1),
      exchanges(static_cast<std::uint32_t>(std::bit_width(shards.replicas) - 1)),
      activations(job::spec_of(job).activations) {
  const nn::ModelSpec whole = job::spec_of(job);
  cuts = cut_stages(job, topology, whole, spread);
  std::vector<LayerRange> ranges;
  for (std::uint32_t s = 0; s < stages; ++s) ranges.push_back({cuts[s], cuts[s + 1]});
  for (std::uint32_t t = 0; t < shards.ranks; ++t) {
    const nn::ModelSpec spec = nn::spec_of_rank(whole, {t, shards.ranks});
    std::vector<StageSize> sizes;
    for (const LayerRange& range : ranges) sizes.push_back(size_of(spec, range, tokens));
    ranks.emplace_back(spec, ranges, std::move(sizes), sharded ? shards.replicas : 1);
  }
}

/// Stages are dealt out in turn, so that each device of a pipeline has as many.
NodeIndex Frame::node(Place place) const {
  const auto nodes = static_cast<std::uint32_t>(topology.nodes.size());
  return placement::node_of(spread, shards, nodes, place.replica, place.stage % shards.stages,
                            place.rank);
}

std::vector<std::uint32_t> Frame::owners_heard(std::uint32_t replica) const {
  std::vector<std::uint32_t> owners{replica};
  if (!sharded) return owners;
  owners.resize(shards.replicas);
  std::iota(owners.begin(), owners.end(), 0u);
  return owners;
}

StageSize Frame::segment_size(Place place, std::uint32_t segment) const {
  if (segments(place.stage) == 1) return size(place);
  return size_of(ranks[place.rank].spec, segments_of(place.stage).layers(segment), tokens);
}

std::uint64_t Frame::hidden_bytes() const {
  return ops::size_of(activations) * tokens * static_cast<std::uint64_t>(nn::width_of(job.model));
}

std::uint64_t Frame::logits_bytes(std::uint32_t rank) const {
  return 4 * tokens * static_cast<std::uint64_t>(nn::columns_of(ranks[rank].spec).count);
}

ActorId Frame::add(ActorKind kind, const std::string& name, Place place,
                   std::uint64_t state_bytes) {
  Actor actor;
  actor.kind = kind;
  actor.name = name;
  actor.node = node(place);
  actor.replica = place.replica;
  actor.stage = place.stage;
  actor.rank = place.rank;
  const bool holds_layers = kind == ActorKind::kLayerShard || kind == ActorKind::kGradientSync ||
                            kind == ActorKind::kOptimizer || kind == ActorKind::kAllGather;
  actor.first_layer = holds_layers ? cuts[place.stage] : 0;
  actor.last_layer = holds_layers ? cuts[place.stage + 1] : 0;
  actor.state_bytes = state_bytes;
  return builder.add(std::move(actor));
}

std::string Frame::of_replica(std::uint32_t replica, char separator) const {
  return separator + ("r" + std::to_string(replica));
}

std::string Frame::of_rank(std::uint32_t replica, std::uint32_t rank) const {
  return of_replica(replica) + (shards.ranks > 1 ? ".t" + std::to_string(rank) : "");
}

std::string Frame::of_shard(Place place, char separator) const {
  std::string name =
      of_replica(place.replica, separator) + separator + "s" + std::to_string(place.stage);
  return shards.ranks > 1 ? name + separator + "t" + std::to_string(place.rank) : name;
}

std::string Frame::of_segment(Place place, std::uint32_t segment) const {
  const bool by_layer = segments_of(place.stage).by_layer();
  return of_shard(place) + (by_layer ? ".l" + std::to_string(segment) : "");
}

std::uint64_t bytes_of(const std::vector<Slice>& slices, std::uint32_t replica,
                       std::uint32_t exchanges) {
  std::uint64_t bytes = 0;
  for (const Slice& slice : slices) {
    if (holds(replica, slice, exchanges)) bytes += 4 * static_cast<std::uint64_t>(slice.count);
  }
  return bytes;
}

}  // namespace reef::plan
