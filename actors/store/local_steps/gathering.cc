#include "actors/store/local_steps/gathering.h"

#include <algorithm>
#include <utility>

namespace reef::actors {

void Gathering::bring(std::uint32_t island, Time now) {
  ++brought_[island];
  if (!quorum_since_ && brought_.size() >= quorum()) quorum_since_ = now;
}

std::size_t Gathering::quorum() const {
  return rules_.quorum > retired_.size() ? rules_.quorum - retired_.size() : 1;
}

bool Gathering::complete() const {
  return std::ranges::all_of(members_,
                             [this](std::uint32_t one) { return brought_.contains(one); });
}

std::optional<Time> Gathering::due() const {
  if (!quorum_since_) return std::nullopt;
  return complete() ? *quorum_since_ : *quorum_since_ + rules_.grace;
}

std::map<std::uint32_t, std::size_t> Gathering::close() {
  quorum_since_.reset();
  return std::exchange(brought_, {});
}

}  // namespace reef::actors
