#include "scheduler/plan/layout/all_reduce.h"

#include "scheduler/cost/cost.h"

namespace reef::plan {
namespace {

/// The codec through which all ranks pass their sums at exchange k: one that rounds, where any pair
/// of partners is on two nodes; or none. Gradients of copies round in all replicas or in none, so
/// that the copies stay alike.
std::string rounding(const Frame& frame, Place place, const Summands& summands, std::uint32_t k) {
  const std::string codec = frame.builder.codec_of(summands.content);
  if (!cost::codec_is_lossy(codec, summands.dtype)) return {};
  const bool all = summands.content == Content::kGradient;
  const std::uint32_t first = all ? 0 : place.replica;
  const std::uint32_t last = all ? frame.shards.replicas - 1 : place.replica;
  for (std::uint32_t r = first; r <= last; ++r) {
    for (std::uint32_t t = 0; t < frame.shards.ranks; ++t) {
      if (frame.node({r, place.stage, t}) != frame.node({r, place.stage, t ^ (1u << k)}))
        return codec;
    }
  }
  return {};
}

}  // namespace

void connect_all_reduce(Frame& frame, Place place, const Summands& summands) {
  const std::uint32_t ranks = frame.shards.ranks;
  const auto priority = static_cast<std::int32_t>(frame.schedule.stages_per_device + 1);
  std::vector<std::vector<ActRef>> acts(ranks);  // offer, combine 0, combine 1, ...
  const auto named = [&](const char* what, std::uint32_t t) {
    return what + summands.name + ".t" + std::to_string(t);
  };
  const auto connect = [&](std::string name, ActRef from, ActRef to, std::uint32_t slots,
                           std::string codec = {}) {
    frame.builder.connect({std::move(name), from, to, summands.content, summands.tokens, slots, 0,
                           summands.bytes, summands.dtype, std::move(codec)});
  };
  for (std::uint32_t t = 0; t < ranks; ++t) {
    const ActorId actor =
        frame.add(ActorKind::kAllReduce, named("sum/", t), {place.replica, place.stage, t});
    acts[t].push_back(frame.builder.add_act(actor, "offer", summands.tokens, priority));
    for (std::uint32_t k = 0; (1u << k) < ranks; ++k) {
      acts[t].push_back(
          frame.builder.add_act(actor, "combine " + std::to_string(k), summands.tokens, priority));
    }
    connect(named("summand/", t), summands.from[t], acts[t][0], 1);
  }
  for (std::uint32_t k = 0; (1u << k) < ranks; ++k) {
    const std::string suffix = "." + std::to_string(k);
    const std::string codec = rounding(frame, place, summands, k);
    for (std::uint32_t t = 0; t < ranks; ++t)
      connect(named("kept/", t) + suffix, acts[t][k], acts[t][k + 1], 1, codec);
    for (std::uint32_t t = 0; t < ranks; ++t)
      connect(named("sent/", t) + suffix, acts[t][k], acts[t ^ (1u << k)][k + 1], 1);
  }
  for (std::uint32_t t = 0; t < ranks; ++t)
    connect(named("sum/", t), acts[t].back(), summands.to[t], summands.slots);
}

}  // namespace reef::plan
