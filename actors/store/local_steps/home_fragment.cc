#include "actors/store/local_steps/home_fragment.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "runtime/base/check.h"

namespace reef::actors {
HomeFragment::HomeFragment(GatheringRules rules, OuterSettings outer, Coders coders,
                           std::uint32_t islands, std::span<const float> global)
    : gathering_(rules),
      optimizer_(outer, global.size()),
      coders_(std::move(coders)),
      islands_(islands),
      global_(global.begin(), global.end()),
      decoded_(global.size()) {
  for (std::uint32_t island = 0; island < islands; ++island) gathering_.join(island);
}

Status HomeFragment::bring(std::uint32_t island, std::uint64_t number, std::uint64_t tokens,
                           bool last, std::span<const float> progress, Time now) {
  Brought& brought = islands_[island];
  if (number != brought.received + 1) return {};
  if (!std::ranges::all_of(progress, [](float one) { return std::abs(one) <= kMostProgress; }))
    return Error{Code::kPoison, "progress", "larger than training can make it, or no number"};
  if (brought.progress.empty()) brought.progress.assign(progress.size(), 0);
  // What comes twice between updates is one longer way, of all its tokens.
  std::ranges::transform(brought.progress, progress, brought.progress.begin(), std::plus<>());
  brought.received = number;
  brought.tokens += tokens;
  brought.last = last;
  gathering_.bring(island, now);
  return {};
}

Status HomeFragment::bring(std::uint32_t island, std::uint64_t number, std::uint64_t tokens,
                           bool last, BytesView encoded, Time now) {
  ATOLL_TRY(coders_.progress.decode(encoded, last, decoded_));
  return bring(island, number, tokens, last, decoded_, now);
}

void HomeFragment::joined(std::uint32_t island) {
  gathering_.join(island);
  const Brought& brought = islands_[island];
  if (brought.last && brought.received == brought.counted) gathering_.retire(island);
}

std::optional<Time> HomeFragment::due(bool may_end) const {
  if (!may_end) return gathering_.due();
  bool brought = false, all_last = true;
  for (std::uint32_t i = 0; i < islands_.size(); ++i) {
    brought = brought || !islands_[i].progress.empty();
    all_last = all_last && (islands_[i].last || !gathering_.has(i));
  }
  if (all_last && (brought || !ended_)) return Time{};
  return gathering_.due();
}

const HomeFragment::Update& HomeFragment::update(bool may_end, std::vector<float>& change) {
  std::vector<Contribution> contributions;
  Update made{++version_, may_end};
  for (std::uint32_t i = 0; i < islands_.size(); ++i) {
    Brought& brought = islands_[i];
    if (brought.tokens > 0) contributions.push_back({brought.progress, brought.tokens});
    made.included.push_back(brought.counted = brought.received);
    if (brought.last) gathering_.retire(i);
    if (gathering_.has(i)) made.last = false;
  }
  gathering_.close();
  change.assign(global_.size(), 0);
  if (!contributions.empty()) {
    mean_of(contributions, change);
    made.encoded = coders_.mean.encode(change, made.last);
    // All islands, also this one, step along what the codec made of it.
    CHECK(coders_.mean.decode(made.encoded, made.last, change).ok());
    optimizer_.step(change);
  }
  for (Brought& brought : islands_) brought.forget();
  ended_ = made.last;
  std::ranges::transform(global_, change, global_.begin(), std::plus<>());
  log_bytes_ += made.encoded.size();
  log_.push_back(std::move(made));
  // One that has missed more than a snapshot's worth gets a snapshot.
  while (log_.size() > 1 && log_bytes_ > global_.size() * sizeof(float)) {
    log_bytes_ -= log_.front().encoded.size();
    log_.pop_front();
  }
  return log_.back();
}

bool HomeFragment::missed(std::uint64_t version, std::vector<const Update*>& updates) const {
  if (version == version_) return true;
  if (log_.empty() || version + 1 < log_.front().version || version > version_) return false;
  for (const Update& update : log_) {
    if (update.version > version) updates.push_back(&update);
  }
  return true;
}

void HomeFragment::adopt(std::uint64_t version, std::span<const float> global,
                         std::span<const float> velocity) {
  CHECK(global.size() == global_.size());
  version_ = version;
  std::ranges::copy(global, global_.begin());
  optimizer_.restore(velocity);
  gathering_.close();
  for (Brought& brought : islands_) {
    brought.forget();
    brought.received = brought.counted;
  }
  log_.clear();
  log_bytes_ = 0;
  ended_ = false;
}

void HomeFragment::through(std::uint32_t island) {
  islands_[island].last = true;
  gathering_.retire(island);
}

void HomeFragment::began_anew(std::uint32_t island) {
  islands_[island].last = false;
  gathering_.join(island);
}

void HomeFragment::begin_generation(std::uint32_t generation) {
  version_ = std::uint64_t{generation} << 32 | 1;
  log_.clear();
  log_bytes_ = 0;
}

void HomeFragment::remember(std::uint32_t island, std::uint64_t counted) {
  Brought& brought = islands_[island];
  if (counted > brought.received) brought.received = brought.counted = counted;
}

}  // namespace reef::actors
