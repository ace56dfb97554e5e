#include "actors/store/local_steps/gathering.h"

#include <algorithm>
#include <utility>

namespace reef::actors {

void Gathering::bring(const std::string& datacenter, Time now) {
  ++brought_[datacenter];
  if (!quorum_since_ && brought_.size() >= rules_.quorum) quorum_since_ = now;
}

bool Gathering::complete() const {
  return std::ranges::all_of(members_,
                             [this](const std::string& one) { return brought_.contains(one); });
}

std::optional<Time> Gathering::due() const {
  if (!quorum_since_) return std::nullopt;
  return complete() ? *quorum_since_ : *quorum_since_ + rules_.grace;
}

std::map<std::string, std::size_t> Gathering::close() {
  quorum_since_.reset();
  return std::exchange(brought_, {});
}

}  // namespace reef::actors
