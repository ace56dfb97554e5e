#pragma once
// What ActorKind documents, as data: the acts of each kind and what flows through their ports.

#include <string>
#include <vector>

#include "scheduler/plan/plan.h"

namespace reef::plan {

/// Contents of an act's ports, one letter each: (t)okens, (a)ctivation, activation gradient (d),
/// (g)radient, (w)eights, (s)calars, state (p), e(x)act, any (.). A letter may be
/// followed by ? for a port that need not be.
struct ActShape {
  std::string inputs;
  std::string outputs;
  std::uint32_t firings = 1;  ///< a round; of carriers their edge says
};

/// What the replicas of a plan share out, which all its actors must agree on.
struct Sharing {
  bool state = false;      ///< is_sharded()
  bool gradients = false;  ///< and sums_each_micro_batch()
  bool weights = false;    ///< and Plan::shares_weights
};
Sharing sharing_of(const Plan& plan);

/// The acts that an actor of this kind, of a replica that is there, has in a plan with these
/// counts, of which `sharing` is sharing_of(). An empty answer: no such kind.
std::vector<ActShape> shapes_of(const Actor& actor, const Plan& plan, Sharing sharing);

/// True when the ports' contents match.
bool matches(const std::string& shape, const std::vector<Content>& contents);

}  // namespace reef::plan
