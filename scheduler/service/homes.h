#pragma once
// Where the fragments of a meeting's islands have their homes, by the island at which they began.

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "scheduler/job/local_steps.h"

namespace reef::service {

/// Deterministic. Thread: one at a time.
class Homes {
 public:
  Homes() = default;
  explicit Homes(std::uint32_t islands) {
    for (std::uint32_t i = 0; i < islands; ++i) places_.push_back({i, 0});
  }

  const std::vector<job::Home>& places() const { return places_; }

  /// Whoever has fewest of `left` gets each home of the lost one; the first of equals. It does not
  /// get them back when it returns, since it then knows less than anybody. Without anybody left
  /// they stay.
  void lose(std::uint32_t lost, const std::set<std::uint32_t>& left) {
    for (job::Home& place : places_) {
      if (place.island == lost && !left.empty()) place = {emptiest(left), ++generation_};
    }
  }

 private:
  std::size_t homes_at(std::uint32_t island) const {
    std::size_t count = 0;
    for (const job::Home& place : places_) count += place.island == island ? 1 : 0;
    return count;
  }
  std::uint32_t emptiest(const std::set<std::uint32_t>& islands) const {
    std::uint32_t best = *islands.begin();
    for (const std::uint32_t island : islands) {
      if (homes_at(island) < homes_at(best)) best = island;
    }
    return best;
  }

  std::vector<job::Home> places_;
  std::uint32_t generation_ = 0;
};

}  // namespace reef::service
