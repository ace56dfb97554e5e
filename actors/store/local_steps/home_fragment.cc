#include "actors/store/local_steps/home_fragment.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "runtime/base/check.h"

namespace reef::actors {
namespace {

std::size_t bytes_of(const HomeFragment::Update& update) {
  std::size_t bytes = 0;
  for (const Told& told : update.told) bytes += told.encoded.size();
  return bytes;
}

}  // namespace

HomeFragment::HomeFragment(GatheringRules rules, OuterSettings outer, Coder coder, bool passes_on,
                           std::uint32_t islands, std::span<const float> global)
    : gathering_(rules),
      optimizer_(outer, global.size()),
      coder_(std::move(coder)),
      passes_on_(passes_on),
      islands_(islands),
      global_(global.begin(), global.end()),
      decoded_(global.size()) {
  brought_.begin(islands, global.size());
  for (std::uint32_t island = 0; island < islands; ++island) gathering_.join(island);
}

Status HomeFragment::bring(const ToldView& told, std::uint64_t done, Time now) {
  Brought& brought = islands_[told.island];
  if (told.number != brought.received + 1) return {};
  brought.overfull = brought.waiting == kMostTellings;
  if (brought.overfull) return {};
  ATOLL_TRY(coder_.decode(told.encoded, told.last, decoded_));
  if (!std::ranges::all_of(decoded_, [](float one) { return std::abs(one) <= kMostProgress; }))
    return Error{Code::kPoison, "progress", "larger than training can make it, or no number"};
  brought_.add(told.island, told.tokens, decoded_);
  brought.received = told.number;
  brought.last = told.last;
  ends_ = ends_ || told.last;
  if (brought.waiting++ == 0) brought.since = now;
  brought.done = done;
  if (passes_on_)
    told_.push_back({told.island, told.last, told.number, told.tokens, to_bytes(told.encoded)});
  gathering_.bring(told.island, now);
  return {};
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
    brought = brought || brought_.has(i);
    all_last = all_last && (islands_[i].last || !gathering_.has(i));
  }
  if (all_last && (brought || !ended_)) return Time{};
  return gathering_.due();
}

const HomeFragment::Update& HomeFragment::update(bool may_end, std::vector<float>& change) {
  Update made{++version_, may_end};
  for (std::uint32_t i = 0; i < islands_.size(); ++i) {
    Brought& brought = islands_[i];
    made.included.push_back(brought.counted = brought.received);
    if (brought.overfull) made.overfull.push_back(i);
    if (brought.last) gathering_.retire(i);
    if (gathering_.has(i)) made.last = false;
    made.leads.push_back(lead(brought));
  }
  change.resize(global_.size());
  if (brought_.mean(change)) {
    if (!passes_on_) {
      told_.push_back({kTogether, ends_, 0, 1, coder_.encode_owing(change)});
      // All islands, also this one, step along what the codec made of it.
      CHECK(coder_.decode(told_.back().encoded, ends_, change).ok());
    }
    optimizer_.step(change, ends_);
  }
  made.told = std::move(told_);
  forget();
  ended_ = made.last;
  std::ranges::transform(global_, change, global_.begin(), std::plus<>());
  log_bytes_ += bytes_of(made);
  log_.push_back(std::move(made));
  // One that has missed more than the weights' worth gets a snapshot.
  while (log_.size() > 1 && log_bytes_ > global_.size() * sizeof(float)) {
    log_bytes_ -= bytes_of(log_.front());
    log_.pop_front();
  }
  return log_.back();
}

Duration HomeFragment::lead(const Brought& one) const {
  Duration lead{};
  for (const Brought& other : islands_) {
    const bool is_behind = other.waiting > 0 && other.done <= one.done;
    if (one.waiting > 0 && is_behind) lead = std::max(lead, other.since - one.since);
  }
  return lead;
}

void HomeFragment::forget() {
  gathering_.close();
  brought_.clear();
  told_.clear();
  ends_ = false;
  for (Brought& brought : islands_) brought.waiting = 0, brought.overfull = false;
}

bool HomeFragment::serves(const Update& update, std::uint32_t island) const {
  std::size_t bytes = 0;
  for (const Told& told : update.told) {
    if (told.island != island)
      bytes += told.encoded.size();
    else if (told.number <= islands_[island].before)
      return false;
  }
  return bytes <= 2 * sizeof(float) * global_.size();
}

bool HomeFragment::missed(std::uint32_t island, std::uint64_t version,
                          std::vector<const Update*>& updates) const {
  if (version == version_) return true;
  if (log_.empty() || version + 1 < log_.front().version || version > version_) return false;
  for (const Update& update : log_) {
    if (update.version > version) updates.push_back(&update);
  }
  return std::ranges::all_of(updates, [&](const Update* one) { return serves(*one, island); });
}

void HomeFragment::adopt(std::uint64_t version, std::span<const float> global,
                         std::span<const float> velocity) {
  CHECK(global.size() == global_.size());
  version_ = version;
  std::ranges::copy(global, global_.begin());
  optimizer_.restore(velocity);
  forget();
  for (Brought& brought : islands_) brought.received = brought.counted;
  log_.clear();
  log_bytes_ = 0;
  ended_ = false;
}

void HomeFragment::through(std::uint32_t island) {
  islands_[island].last = true;
  gathering_.retire(island);
}

void HomeFragment::began_anew(std::uint32_t island) {
  Brought& brought = islands_[island];
  brought.last = false;
  brought.before = brought.received;
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
