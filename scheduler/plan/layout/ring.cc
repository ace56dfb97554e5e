#include "scheduler/plan/layout/ring.h"

#include "ops/nn/tensor_rank.h"

namespace reef::plan {
namespace {

/// Of before the first round.
constexpr std::uint32_t kInitial = 1;

/// The other one fills while the first is met, and no replica waits for itself. Over a network the
/// wire has slots of its own.
std::uint32_t slots_between(const Frame& frame, Place from, Place to) {
  return frame.node(from) == frame.node(to) ? 2 : 1;
}

/// Channels of all tokens of a shard, times their heads.
std::uint64_t elements(const Frame& frame, const nn::Heads& heads, std::int64_t count) {
  return frame.tokens * static_cast<std::uint64_t>(count * heads.size);
}

/// From each replica of a context to the next, in the order of replicas.
void connect_ring(Frame& f, Place first, std::uint32_t segment) {
  const nn::Heads heads = nn::heads_of(f.ranks[first.rank].spec);
  const std::uint64_t both = elements(f, heads, 2 * heads.keys);
  const std::uint64_t keys = ops::size_of(f.activations) * both;
  const Segments segments = f.segments_of(first.stage);
  const std::uint32_t there = f.micro(first.replica) * segments.forward_firings(segment);
  const std::uint32_t back = f.micro(first.replica) * segments.backward_firings(segment);
  const auto join = [&](const char* what, auto acts, Content content, std::uint32_t tokens,
                        std::uint64_t bytes, ops::DType dtype) {
    for (std::uint32_t c = 0; c < f.shards.context; ++c) {
      const Place at{first.replica + c, first.stage, first.rank};
      const Place next{first.replica + (c + 1) % f.shards.context, first.stage, first.rank};
      f.builder.connect({what + f.of_segment(at, segment), (f.shard(at).*acts)[segment],
                         (f.shard(next).*acts)[segment], content, tokens,
                         slots_between(f, at, next), kInitial, bytes, dtype});
    }
  };
  join("keys", &Shard::forward, Content::kActivation, there, keys, f.activations);
  join("keys-back", &Shard::backward, Content::kActivation, back, keys, f.activations);
  join("sums-back", &Shard::backward, Content::kActivationGradient, back, 4 * both,
       ops::DType::kF32);
}

}  // namespace

void connect_rings(Frame& frame) {
  for (std::uint32_t r = 0; r < frame.shards.replicas; r += frame.shards.context) {
    for (std::uint32_t s = 0; s < frame.stages; ++s) {
      const Segments segments = frame.segments_of(s);
      for (std::uint32_t t = 0; t < frame.shards.ranks; ++t) {
        for (std::uint32_t i = 0; i < segments.count(); ++i) {
          if (segments.is_ring(i)) connect_ring(frame, {r, s, t}, i);
        }
      }
    }
  }
}

std::uint64_t ring_bytes(const Frame& frame, Place place) {
  const nn::ModelSpec& spec = frame.ranks[place.rank].spec;
  const nn::Heads heads = nn::heads_of(spec);
  const std::uint64_t queries = elements(frame, heads, heads.queries);
  const std::uint64_t here = ops::size_of(frame.activations);
  const Segments segments = frame.segments_of(place.stage);
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < segments.count(); ++i) {
    if (!segments.is_ring(i)) continue;
    // Forward what is about to become the stash, results of meetings in f32. Backward, beside the
    // stash, the gradients of the output and of x past the attention, of what was attended, and of
    // queries in f32.
    bytes += frame.segment_size(place, i).stash + 4 * queries;
    bytes += 2 * frame.hidden_bytes() + (here + 4) * queries;
  }
  return bytes;
}

}  // namespace reef::plan
