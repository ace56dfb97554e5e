#include "actors/sync/agreement.h"

#include <algorithm>

namespace reef::actors {

std::vector<double> wishes_of(std::span<const codec::Candidate> candidates) {
  std::vector<double> wishes;
  for (const codec::Candidate& one : candidates) {
    wishes.insert(wishes.end(), {one.seconds, one.work, one.error});
  }
  return wishes;
}

void take_wishes(std::span<const double> wishes, std::span<codec::Candidate> candidates) {
  CHECK_EQ(wishes.size(), 3 * candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    candidates[i].seconds = wishes[3 * i];
    candidates[i].work = wishes[3 * i + 1];
    candidates[i].error = wishes[3 * i + 2];
  }
}

Status join_wishes(std::vector<double>& wishes, std::span<const double> received) {
  if (received.size() != wishes.size())
    return Error{Code::kProto, "gradients", "a partner chooses among other codecs"};
  std::ranges::transform(wishes, received, wishes.begin(),
                         [](double a, double b) { return std::max(a, b); });
  return {};
}

}  // namespace reef::actors
