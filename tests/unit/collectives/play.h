#pragma once
// Plays a schedule on buffers in one thread, in the order of the list or in any that a rank may
// take.

#include <bit>
#include <cmath>
#include <map>
#include <vector>

#include "collectives/algorithms/schedule.h"
#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace reef::collectives {

/// Of rank r element i: of so many magnitudes that the order of a sum shows.
inline float wild(Rank rank, std::uint64_t i) {
  const std::uint64_t bits = stable_hash(std::to_string(rank) + "," + std::to_string(i));
  return std::ldexp(static_cast<float>(bits % 2001) - 1000, static_cast<int>(bits >> 20) % 40);
}
/// Their sum along the leaf tree, as one would write it.
inline float tree_sum(Rank first, Rank count, std::uint64_t i) {
  if (count == 1) return wild(first, i);
  const Rank left = std::bit_ceil(count) / 2;
  return tree_sum(first, left, i) + tree_sum(first + left, count - left, i);
}

template <typename T>
using Buffers = std::vector<std::vector<T>>;

template <typename T>
std::vector<T> taken(const std::vector<T>& buffer, const Range& range) {
  return {buffer.begin() + static_cast<std::ptrdiff_t>(range.begin),
          buffer.begin() + static_cast<std::ptrdiff_t>(range.end)};
}

template <typename T>
void put(std::vector<T>& buffer, const Range& range, const std::vector<T>& received,
         Action action) {
  for (std::uint64_t i = 0; i < range.size(); ++i) {
    T& own = buffer[range.begin + i];
    own = action == Action::kPut ? received[i] : own + received[i];
  }
}

template <typename T>
void play(const Schedule& schedule, Buffers<T>& buffers) {
  for (const Step& step : schedule.steps) {
    const auto there = taken(buffers[step.from], step.source);
    if (step.action == Action::kExchange)
      put(buffers[step.from], step.source, taken(buffers[step.to], step.destination()),
          step.action);
    put(buffers[step.to], step.destination(), there, step.action);
  }
}

/// As ranks that know nothing but their own steps: in each turn one of them, by chance, sends what
/// it may or takes what has come.
template <typename T>
class Ranks {
 public:
  Ranks(const Schedule& schedule, Buffers<T>& buffers, std::uint64_t seed)
      : buffers_(buffers), seed_(seed) {
    for (std::size_t i = 0; i < schedule.steps.size(); ++i) {
      const Step& step = schedule.steps[i];
      const bool both = step.action == Action::kExchange;
      halves_.push_back({i, step.from, step.source, step.action, true, both});
      halves_.push_back({i, step.to, step.destination(), step.action, both, true});
    }
    play();
  }

 private:
  /// One rank's part of a step.
  struct Half {
    std::size_t step;
    Rank rank;
    Range range;
    Action action;
    bool sends, receives;
    bool sent = false, done = false;
  };

  void play() {
    std::size_t left = halves_.size();
    while (left > 0) {
      std::vector<Half*> able;
      for (Half& half : halves_) {
        if (!half.done && !waits(half)) able.push_back(&half);
      }
      CHECK(!able.empty()) << "the ranks wait for each other";
      Half& half = *able[stable_hash(std::to_string(seed_ + turn_++)) % able.size()];
      if (half.sends && !half.sent) {
        line_[{half.step, half.rank}] = taken(buffers_[half.rank], half.range);
        half.sent = true;
      } else {
        put(buffers_[half.rank], half.range, received(half)->second, half.action);
        line_.erase(received(half));
        half.receives = false;
      }
      half.done = half.sent == half.sends && !half.receives;
      left -= half.done;
    }
  }
  bool waits(const Half& half) {
    for (const Half& earlier : halves_) {
      if (earlier.step >= half.step) break;
      if (!earlier.done && earlier.rank == half.rank && earlier.range.overlaps(half.range))
        return true;
    }
    return (!half.sends || half.sent) && received(half) == line_.end();
  }
  /// What the other of the step has sent.
  auto received(const Half& half) {
    auto it = line_.lower_bound({half.step, 0});
    while (it != line_.end() && it->first.first == half.step && it->first.second == half.rank) ++it;
    return it != line_.end() && it->first.first == half.step ? it : line_.end();
  }

  Buffers<T>& buffers_;
  const std::uint64_t seed_;
  std::uint64_t turn_ = 0;
  std::vector<Half> halves_;
  std::map<std::pair<std::size_t, Rank>, std::vector<T>> line_;  ///< by step and sender
};

}  // namespace reef::collectives
