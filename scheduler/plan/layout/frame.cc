#include "scheduler/plan/layout/frame.h"

#include <bit>
#include <numeric>

#include "scheduler/plan/layout.h"

namespace reef::plan {

Frame::Frame(const job::Job& the_job, const topology::Topology& the_topology,
             placement::Spread the_spread)
    : job(the_job),
      topology(the_topology),
      builder(job, topology),
      spec(job::spec_of(job)),
      shards{job.parallelism.dp, job.parallelism.pp},
      schedule(job.parallelism.schedule),
      stages(job.parallelism.stages()),
      spread(the_spread),
      micro(job.training.leaves / job.parallelism.dp),
      last(stages - 1),
      sharded(job.parallelism.shares_state()),
      exchanges(static_cast<std::uint32_t>(std::bit_width(shards.replicas) - 1)) {
  Stages cut = cut_stages(job, topology, spec, spread);
  cuts = std::move(cut.cuts);
  sizes = std::move(cut.sizes);
  deal_pieces();
}

void Frame::deal_pieces() {
  std::vector<LayerRange> ranges;
  for (std::uint32_t s = 0; s < stages; ++s) ranges.push_back({cuts[s], cuts[s + 1]});
  deal.emplace(spec, ranges, sharded ? shards.replicas : 1);
  for (std::uint32_t s = 0; s < stages; ++s) {
    auto& of_owners = shares.emplace_back(deal->owners());
    auto& slices = gradients.emplace_back();
    for (std::uint32_t i = cuts[s]; i < cuts[s + 1]; ++i) {
      for (const nn::Parameter& parameter : spec.layers[i].parameters) {
        for (const Slice& slice : deal->of(parameter.name)) {
          slices.push_back(slice);
          Share& owned = of_owners[slice.owner];
          const auto count = static_cast<std::uint64_t>(slice.count);
          owned.weights += count * ops::size_of(parameter.dtype);
          owned.gradients += 4 * count;
          owned.squares += 64 * static_cast<std::uint64_t>(pieces_in(slice));
        }
      }
      for (const std::string& name : spec.layers[i].tied) {
        const auto some = deal->of(name);
        slices.insert(slices.end(), some.begin(), some.end());
        if (s == last) tied.insert(tied.end(), some.begin(), some.end());
      }
    }
  }
}

/// Stages are dealt out in turn, so that each device of a pipeline has as many.
NodeIndex Frame::node(std::uint32_t replica, std::uint32_t stage) const {
  const auto nodes = static_cast<std::uint32_t>(topology.nodes.size());
  return placement::node_of(spread, shards, nodes, replica, stage % shards.stages);
}

std::vector<std::uint32_t> Frame::owners_heard(std::uint32_t replica) const {
  std::vector<std::uint32_t> owners{replica};
  if (!sharded) return owners;
  owners.resize(shards.replicas);
  std::iota(owners.begin(), owners.end(), 0u);
  return owners;
}

std::uint64_t Frame::hidden_bytes() const {
  return ops::size_of(spec.activations) * tokens_per_leaf(job) *
         static_cast<std::uint64_t>(nn::width_of(job.model));
}

std::uint64_t Frame::logits_bytes() const {
  return 4 * tokens_per_leaf(job) * static_cast<std::uint64_t>(nn::vocabulary_of(job.model));
}

ActorId Frame::add(ActorKind kind, const std::string& name, std::uint32_t replica,
                   std::uint32_t stage, std::uint64_t state_bytes) {
  Actor actor;
  actor.kind = kind;
  actor.name = name;
  actor.node = node(replica, stage);
  actor.replica = replica;
  actor.stage = stage;
  const bool holds_layers = kind == ActorKind::kLayerShard || kind == ActorKind::kGradientSync ||
                            kind == ActorKind::kOptimizer || kind == ActorKind::kAllGather;
  actor.first_layer = holds_layers ? cuts[stage] : 0;
  actor.last_layer = holds_layers ? cuts[stage + 1] : 0;
  actor.state_bytes = state_bytes;
  return builder.add(std::move(actor));
}

std::string of_replica(std::uint32_t replica) { return ".r" + std::to_string(replica); }

std::string of_shard(std::uint32_t replica, std::uint32_t stage) {
  return of_replica(replica) + ".s" + std::to_string(stage);
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
