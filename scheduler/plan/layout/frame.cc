#include "scheduler/plan/layout/frame.h"

#include <bit>
#include <numeric>

#include "ops/nn/tensor_rank.h"
#include "scheduler/plan/gathered.h"
#include "scheduler/plan/layout.h"

namespace reef::plan {
RankPart::RankPart(const nn::ModelSpec& its_spec, const std::vector<Buckets>& stages,
                   std::uint64_t tokens, std::uint32_t owners)
    : spec(its_spec), deal(spec, stages, owners) {
  for (const Buckets& stage : stages) {
    sizes.push_back(size_of(spec, stage.stage(), tokens));
    shares.emplace_back(owners);
    buckets.emplace_back();
    for (std::uint32_t b = 0; b < stage.count(); ++b) add_bucket(stage.layers(b), tokens);
  }
}

/// To the last stage.
void RankPart::add_bucket(LayerRange layers, std::uint64_t tokens) {
  Bucket& bucket = buckets.back().emplace_back(Bucket{size_of(spec, layers, tokens), {}, {}});
  bucket.weights.resize(deal.owners());
  for (const nn::Parameter& parameter : gathered(spec, layers)) {
    for (const Slice& slice : deal.of(parameter.name))
      bucket.weights[slice.owner] +=
          static_cast<std::uint64_t>(slice.count) * ops::size_of(parameter.dtype);
  }
  for (std::uint32_t i = layers.first; i < layers.last; ++i) {
    for (const nn::Parameter& parameter : spec.layers[i].parameters) {
      for (const Slice& slice : deal.of(parameter.name)) {
        bucket.gradients.push_back(slice);
        Share& owned = shares.back()[slice.owner];
        const auto count = static_cast<std::uint64_t>(slice.count);
        owned.weights += count * ops::size_of(parameter.dtype);
        owned.gradients += 4 * count;
        if (nn::is_copied(parameter, spec.tensor)) owned.copied += 4 * count;
        owned.squares += 64 * static_cast<std::uint64_t>(pieces_in(slice));
      }
    }
    for (const std::string& name : spec.layers[i].tied) {
      const auto some = deal.of(name);
      bucket.gradients.insert(bucket.gradients.end(), some.begin(), some.end());
      if (layers.last == spec.layers.size()) tied.insert(tied.end(), some.begin(), some.end());
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
      sums_each_micro_batch(job.parallelism.shares_gradients()),
      in_turn(job.parallelism.shares_weights()),
      exchanges(static_cast<std::uint32_t>(std::bit_width(shards.replicas) - 1)),
      activations(job::spec_of(job).activations) {
  const nn::ModelSpec whole = job::spec_of(job);
  const std::uint32_t owners = sharded ? shards.replicas : 1;
  cuts = cut_stages(job, topology, whole, spread);
  std::vector<LayerRange> ranges;
  for (std::uint32_t s = 0; s < stages; ++s) ranges.push_back(layers_of(s));
  bucket_cuts = cut_buckets(nn::spec_of_rank(whole, {0, shards.ranks}), ranges, job.parallelism);
  std::vector<Buckets> of_stages;
  for (std::uint32_t s = 0; s < stages; ++s) of_stages.push_back(buckets_of(s));
  for (std::uint32_t t = 0; t < shards.ranks; ++t)
    ranks.emplace_back(nn::spec_of_rank(whole, {t, shards.ranks}), of_stages, tokens, owners);
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

SyncSteps Frame::steps_of_sync(std::uint32_t stage, std::uint32_t rank) const {
  if (sharded) return {exchanges, 0};
  const auto datacenter = [&](std::uint32_t replica) {
    return topology.nodes[node({replica, stage, rank})].datacenter;
  };
  for (std::uint32_t k = 0; k < exchanges; ++k) {
    for (std::uint32_t i = 0; i < shards.replicas; ++i) {
      if (datacenter(i) != datacenter(i ^ (1u << k))) return {exchanges, k};
    }
  }
  return {exchanges, 0};
}

StageSize Frame::segment_size(Place place, std::uint32_t segment) const {
  const Segments of_stage = segments_of(place.stage);
  if (of_stage.in_turn()) return size(place);
  if (!of_stage.by_layer()) return buckets(place)[segment].size;
  return size_of(ranks[place.rank].spec, of_stage.layers(segment), tokens);
}

std::uint64_t Frame::hidden_bytes() const {
  return ops::size_of(activations) * tokens * static_cast<std::uint64_t>(nn::width_of(job.model));
}

std::uint64_t Frame::logits_bytes(std::uint32_t rank) const {
  return 4 * tokens * static_cast<std::uint64_t>(nn::columns_of(ranks[rank].spec).count);
}

ActorId Frame::add(ActorKind kind, const std::string& name, Place place,
                   std::uint64_t state_bytes) {
  const bool holds_layers = kind == ActorKind::kLayerShard || kind == ActorKind::kOptimizer ||
                            kind == ActorKind::kAllGather;
  return add(kind, name, place, holds_layers ? layers_of(place.stage) : LayerRange(), state_bytes);
}

ActorId Frame::add(ActorKind kind, const std::string& name, Place place, LayerRange layers,
                   std::uint64_t state_bytes) {
  Actor actor;
  actor.kind = kind;
  actor.name = name;
  actor.node = node(place);
  actor.replica = place.replica;
  actor.stage = place.stage;
  actor.rank = place.rank;
  actor.first_layer = layers.first;
  actor.last_layer = layers.last;
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
  if (!segments_of(place.stage).by_layer()) return of_sync(place, segment);
  return of_shard(place) + ".l" + std::to_string(segment);
}

std::string Frame::of_sync(Place place, std::uint32_t sync, char separator) const {
  const std::string name = of_shard(place, separator);
  return syncs(place.stage) > 1 ? name + separator + "b" + std::to_string(sync) : name;
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
