#include "collectives/wide/operation.h"

#include <algorithm>
#include <optional>
#include <set>

#include "runtime/base/check.h"

namespace reef::collectives {
namespace {

/// Who wrote each stretch of a buffer last, and who has read it since: whom the next must wait for.
class Users {
 public:
  Users() { stretches_[0] = {}; }

  /// Halves before which `half` must not touch the range.
  std::set<std::size_t> use(const Range& range, std::size_t half, bool writes) {
    cut(range.begin);
    cut(range.end);
    std::set<std::size_t> before;
    const auto end = stretches_.lower_bound(range.end);
    for (auto it = stretches_.lower_bound(range.begin); it != end; ++it) {
      Stretch& stretch = it->second;
      if (stretch.writer) before.insert(*stretch.writer);
      if (!writes) {
        stretch.readers.push_back(half);
        continue;
      }
      before.insert(stretch.readers.begin(), stretch.readers.end());
      stretch = {half, {}};
    }
    return before;
  }

 private:
  struct Stretch {
    std::optional<std::size_t> writer = {};
    std::vector<std::size_t> readers = {};
  };
  void cut(std::uint64_t place) {
    stretches_.emplace(place, std::prev(stretches_.upper_bound(place))->second);
  }

  std::map<std::uint64_t, Stretch> stretches_;  ///< by where they begin
};

}  // namespace

Operation::Operation(std::shared_ptr<const Schedule> schedule, Rank self, std::span<float> buffer)
    : schedule_(std::move(schedule)), buffer_(buffer) {
  CHECK_EQ(buffer.size(), schedule_->elements[self]);
  for (std::uint32_t number = 0; number < schedule_->steps.size(); ++number) {
    const Step& step = schedule_->steps[number];
    const bool both = step.action == Action::kExchange;
    const bool here = step.from == self, there = step.to == self;
    if (!here && !there) continue;
    const Rank peer = here ? step.to : step.from;
    const Range range = here ? step.source : step.destination();
    if (here || both) add({number, peer, range, step.action, true});
    if (there || both) add({number, peer, range, step.action, false});
  }
  Users users;
  for (std::size_t i = 0; i < halves_.size(); ++i) {
    for (const std::size_t before : users.use(halves_[i].range, i, !halves_[i].sends)) {
      halves_[before].blocked.push_back(i);
      ++halves_[i].blockers;
    }
  }
  for (std::size_t i = 0; i < halves_.size(); ++i) {
    if (halves_[i].blockers == 0) ready_.push_back(i);
  }
}

void Operation::add(const Half& half) {
  if (!half.sends) arrivals_[half.step] = halves_.size();
  halves_.push_back(half);
  ++left_;
}

void Operation::run(Courier& courier) {
  courier_ = &courier;
  for (std::size_t i = 0; i < halves_.size(); ++i) {
    if (halves_[i].sends && halves_[i].begun && !halves_[i].done) send(i);
  }
  pump();
}

void Operation::pump() {
  while (!ready_.empty()) {
    const std::size_t next = ready_.back();
    ready_.pop_back();
    begin(next);
  }
}

/// Its elements are this half's now.
void Operation::begin(std::size_t index) {
  Half& half = halves_[index];
  half.begun = true;
  if (!half.sends) {
    if (half.values.empty()) return;  // still on its way
    apply(half, half.values);
    half.values = {};
    return finish(index);
  }
  if (half.action == Action::kExchange) {
    const auto own = buffer_.subspan(half.range.begin, half.range.size());
    half.values.assign(own.begin(), own.end());
    release(index);
  }
  send(index);
}

void Operation::send(std::size_t index) {
  const Half& half = halves_[index];
  const bool kept = half.action == Action::kExchange;
  const std::span<const float> own = buffer_.subspan(half.range.begin, half.range.size());
  courier_->send(half.peer, half.step, kept ? std::span<const float>(half.values) : own,
                 [this, index, alive = std::weak_ptr(alive_)] {
                   // Twice when it was sent again though the first had arrived.
                   if (alive.expired() || halves_[index].done) return;
                   finish(index);
                   pump();
                 });
}

Status Operation::received(Rank from, std::uint32_t step, std::span<const float> values) {
  const auto found = arrivals_.find(step);
  const Error wrong{Code::kProto, "rank " + std::to_string(from),
                    "sent a message that no step of the collective brings"};
  if (found == arrivals_.end()) return wrong;
  Half& half = halves_[found->second];
  if (half.peer != from || half.range.size() != values.size()) return wrong;
  if (half.done || !half.values.empty()) return {};  // sent again after a break
  if (!half.begun) {
    half.values.assign(values.begin(), values.end());
    return {};
  }
  apply(half, values);
  finish(found->second);
  if (courier_ != nullptr) pump();
  return {};
}

void Operation::apply(Half& half, std::span<const float> values) {
  float* const own = buffer_.data() + half.range.begin;
  if (half.action == Action::kPut) {
    std::copy(values.begin(), values.end(), own);
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) own[i] += values[i];
}

void Operation::finish(std::size_t index) {
  halves_[index].done = true;
  halves_[index].values = {};
  --left_;
  release(index);
}

/// Whoever waits for the elements may have them. A second call finds nobody.
void Operation::release(std::size_t index) {
  for (const std::size_t later : std::exchange(halves_[index].blocked, {})) {
    if (--halves_[later].blockers == 0) ready_.push_back(later);
  }
}

std::vector<Rank> Operation::waits_for() const {
  std::set<Rank> ranks;
  for (const Half& half : halves_) {
    if (half.begun && !half.done) ranks.insert(half.peer);
  }
  return {ranks.begin(), ranks.end()};
}

}  // namespace reef::collectives
