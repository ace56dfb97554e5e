#include "scheduler/plan/layout/all_reduce.h"

#include "scheduler/cost/cost.h"
#include "scheduler/plan/strips.h"

namespace reef::plan {
namespace {

class AllReduce {
 public:
  AllReduce(Frame& frame, Place place, const Summands& summands)
      : f_(frame), place_(place), summands_(summands), ranks_(frame.shards.ranks) {}

  void connect() {
    std::vector<std::vector<ActRef>> sums;
    for (std::uint32_t t = 0; t < ranks_; ++t) {
      sums.push_back(add(ActorKind::kAllReduce, "sum/", t, {place_.replica, place_.stage, t}));
      edge(named("summand/", t), summands_.from[t], sums[t][0], summands_.bytes);
    }
    for (std::uint32_t k = 0; (1u << k) < ranks_; ++k) {
      const std::string suffix = "." + std::to_string(k);
      const std::string codec = rounding(k);
      for (std::uint32_t t = 0; t < ranks_; ++t) {
        edge(named("kept/", t) + suffix, sums[t][k], sums[t][k + 1], summands_.bytes, 1,
             summands_.content, codec);
      }
      for (std::uint32_t t = 0; t < ranks_; ++t)
        edge(named("sent/", t) + suffix, sums[t][k], sums[t ^ (1u << k)][k + 1], summands_.bytes);
    }
    if (crosses()) return join(sums);
    for (std::uint32_t t = 0; t < ranks_; ++t)
      edge(named("sum/", t), sums[t].back(), summands_.to[t], summands_.bytes, summands_.slots);
  }

 private:
  /// Over the line in strips, so that the sum crosses once and not once a rank (as Narayanan et al.
  /// 2021, arXiv 2104.04473, between the stages of a pipeline); then to all at the other end.
  void join(const std::vector<std::vector<ActRef>>& sums) {
    std::vector<std::vector<ActRef>> joins;
    for (std::uint32_t t = 0; t < ranks_; ++t) {
      const Actor& taker = f_.builder.plan().actors[summands_.to[t].actor];
      joins.push_back(add(ActorKind::kJoin, "join/", t, {taker.replica, taker.stage, taker.rank}));
      edge(named("strip/", t), sums[t].back(), joins[t][0], held(t, 0), summands_.slots);
    }
    for (std::uint32_t k = 0; (1u << k) < ranks_; ++k) {
      const std::string suffix = "." + std::to_string(k);
      for (std::uint32_t t = 0; t < ranks_; ++t) {
        edge(named("joined/", t) + suffix, joins[t][k], joins[t][k + 1], held(t, k), 1,
             Content::kExact);
      }
      for (std::uint32_t t = 0; t < ranks_; ++t) {
        edge(named("shown/", t) + suffix, joins[t][k], joins[t ^ (1u << k)][k + 1], held(t, k), 1,
             Content::kExact);
      }
    }
    for (std::uint32_t t = 0; t < ranks_; ++t)
      edge(named("sum/", t), joins[t].back(), summands_.to[t], summands_.bytes);
  }

  std::vector<ActRef> add(ActorKind kind, const char* what, std::uint32_t rank, Place place) {
    const auto priority = static_cast<std::int32_t>(f_.schedule.stages_per_device + 1);
    const ActorId actor = f_.add(kind, named(what, rank), place);
    std::vector<ActRef> acts{f_.builder.add_act(actor, "offer", summands_.tokens, priority)};
    for (std::uint32_t k = 0; (1u << k) < ranks_; ++k) {
      acts.push_back(
          f_.builder.add_act(actor, "combine " + std::to_string(k), summands_.tokens, priority));
    }
    return acts;
  }

  void edge(std::string name, ActRef from, ActRef to, std::uint64_t bytes,
            std::uint32_t slots = 1) {
    edge(std::move(name), from, to, bytes, slots, summands_.content);
  }
  void edge(std::string name, ActRef from, ActRef to, std::uint64_t bytes, std::uint32_t slots,
            Content content, std::string codec = {}) {
    f_.builder.connect({std::move(name), from, to, content, summands_.tokens, slots, 0, bytes,
                        summands_.dtype, std::move(codec)});
  }

  std::string named(const char* what, std::uint32_t rank) const {
    return what + summands_.name + ".t" + std::to_string(rank);
  }

  /// Of the sum, what a rank has joined after so many exchanges.
  std::uint64_t held(std::uint32_t rank, std::uint32_t exchanges) const {
    const std::uint64_t size = ops::size_of(summands_.dtype);
    return size *
           strip_of(summands_.bytes / size, ranks_, first_held(rank, exchanges), 1u << exchanges)
               .count;
  }

  bool crosses() const {
    const auto datacenter = [&](NodeIndex node) { return f_.topology.nodes[node].datacenter; };
    for (std::uint32_t t = 0; t < ranks_; ++t) {
      if (datacenter(f_.node({place_.replica, place_.stage, t})) !=
          datacenter(f_.builder.node_of(summands_.to[t])))
        return true;
    }
    return false;
  }

  /// The codec through which all ranks pass their sums at exchange k: one that rounds, where any
  /// pair of partners is on two nodes; or none. Gradients of copies round in all replicas or in
  /// none, so that the copies stay alike.
  std::string rounding(std::uint32_t k) const {
    const std::string codec = f_.builder.codec_of(summands_.content);
    if (!cost::codec_is_lossy(codec, summands_.dtype)) return {};
    const bool all = summands_.content == Content::kGradient;
    const std::uint32_t first = all ? 0 : place_.replica;
    const std::uint32_t last = all ? f_.shards.replicas - 1 : place_.replica;
    for (std::uint32_t r = first; r <= last; ++r) {
      for (std::uint32_t t = 0; t < ranks_; ++t) {
        if (f_.node({r, place_.stage, t}) != f_.node({r, place_.stage, t ^ (1u << k)}))
          return codec;
      }
    }
    return {};
  }

  Frame& f_;
  const Place place_;
  const Summands& summands_;
  const std::uint32_t ranks_;
};

}  // namespace

void connect_all_reduce(Frame& frame, Place place, const Summands& summands) {
  AllReduce(frame, place, summands).connect();
}

}  // namespace reef::plan
