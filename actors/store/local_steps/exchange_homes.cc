// Where each fragment has its home, and how it and the islands meet: for the first time, again, and
// when it has moved, since the one before is lost. Every island has a replica of what a home has:
// the global weights and their velocity, as updates make them. A new home goes
// on from the replica of whoever has taken most updates; versions of another generation are its
// own, so that nobody takes an update for one of before. Of an update that only some had, the
// others' part may be counted twice.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "actors/store/local_steps/exchange.h"
#include "runtime/base/log.h"

namespace reef::actors {
namespace {

constexpr std::uint64_t kEnded = 1;  ///< tokens of a snapshot after which no update comes
/// Once a datacenter counts as lost, the scheduler takes no longer to say where its homes are now.
constexpr Duration kMoveTime = std::chrono::seconds(10);

Error wrong(const std::string& what) { return {Code::kProto, "letter", what}; }

void append(Bytes& payload, std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  payload.insert(payload.end(), bytes.begin(), bytes.end());
}

bool may_be(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::abs(value) <= kMostTold; });
}

}  // namespace

std::optional<std::uint32_t> Exchange::home_of(std::uint32_t fragment) const {
  const auto& home = homes_[fragment % island_.count()];
  return home ? std::optional(home->island) : std::nullopt;
}

void Exchange::send_home(node::Letter letter) {
  if (const auto home = home_of(letter.fragment)) send_(*home, std::move(letter));
}

Status Exchange::set_company(const job::Company& company, Time now) {
  for (std::uint32_t slot = 0; slot < island_.count(); ++slot) {
    if (company.homes.size() != island_.count() || company.homes[slot].island >= island_.count())
      return Error{Code::kProto, "scheduler", "speaks of other islands than the job has"};
    const bool here = homes_[slot] && homes_[slot]->island == island_.index;
    if (here && company.homes[slot] != homes_[slot])
      return Error{Code::kFenced, "scheduler", "has given this datacenter up and moved its homes"};
  }
  company_ = company.islands;
  company_.erase(island_.index);
  for (std::uint32_t slot = 0; slot < island_.count(); ++slot) {
    if (homes_[slot] == company.homes[slot]) continue;
    homes_[slot] = company.homes[slot];
    for (std::uint32_t f = slot; f < fragments_.count(); f += island_.count()) {
      if (fragments_.elements(f) > 0) home_moved(f, now);
    }
  }
  for (Side& side : sides_) {
    for (std::uint32_t island = 0; side.home && island < island_.count(); ++island) {
      if (island != island_.index && !company_.contains(island)) side.home->left(island);
    }
  }
  return {};
}

void Exchange::home_moved(std::uint32_t fragment, Time now) {
  Side& side = sides_[fragment];
  side.local.parted();
  side.home_version = 0;
  side.told_when.clear();
  side.ahead = {};
  side.home_since = now;
  if (is_home(fragment)) return take_home(fragment);
  if (present_.contains(*home_of(fragment))) join(fragment);
}

void Exchange::make_home(std::uint32_t fragment) {
  Side& side = sides_[fragment];
  side.home = std::make_unique<HomeFragment>(GatheringRules{local_.quorum, local_.grace}, outer(),
                                             make_coder(fragment), passes_on_, island_.count(),
                                             side.local.global());
}

/// With what this island has of it.
void Exchange::take_home(std::uint32_t fragment) {
  Side& side = sides_[fragment];
  log_info("fragment " + std::to_string(fragment) + " has its home here from now on");
  make_home(fragment);
  HomeFragment& home = *side.home;
  home.adopt(side.local.version(), side.local.global(), side.outer.velocity());
  side.outer = OuterOptimizer(outer(), 0);
  home.remember(island_.index, side.local.counted());
  if (side.local.is_through()) home.through(island_.index);
  if (side.settled) home.end();
  side.ready = false;
  side.informed = island_.begun == 0 || side.local.version() > 0;
  side.joined.clear();
  side.asked.clear();
  side.brought_at.clear();
  side.done.clear();
  side.pace = Pace(usual_pace_, side.every);
  side.pace.hurry(hurries_);
  for (const std::uint32_t island : std::exchange(side.early, {}))
    send_(island, letter_of(LetterKind::kHome, fragment));
}

/// Once all that train, and so may know more, have answered; after the grace, all that are there;
/// after twice the grace, whoever has. Never where nobody knows what training has made of the
/// weights.
bool Exchange::may_open(const Side& side, Time now) const {
  if (!side.informed) return false;
  if (now >= side.home_since + 2 * local_.grace) return true;
  const auto& needed = now < side.home_since + local_.grace ? company_ : present_;
  const bool all_joined = std::ranges::all_of(
      needed, [&](std::uint32_t island) { return side.joined.contains(island); });
  return all_joined && side.asked.empty();
}

/// The home knows as much as anybody, and says to all what it has; it counts its own island, too.
void Exchange::open_home(std::uint32_t fragment, Time now) {
  Side& side = sides_[fragment];
  HomeFragment& home = *side.home;
  side.ready = true;
  side.settled = home.ended();
  if (const auto generation = homes_[fragment % island_.count()]->generation; generation > 0) {
    home.begin_generation(generation);
    const auto own = side.local.take_snapshot(home.version(), side.local.counted(), home.global());
    if (!own.ok()) log_error(own.error().text());
  }
  const auto again = side.local.met(home.received(island_.index));
  if (!again.ok()) return log_error(again.error().text());
  for (const Told* told : *again) {
    const Status brought = home.bring(view_of(*told), done_, now);
    if (!brought.ok()) log_error(brought.error().text());
  }
  tell_last(fragment, now);
  for (const auto& [island, version] : side.joined) welcome(island, fragment, version);
}

void Exchange::changed(std::uint32_t island, bool present, Time now) {
  if (present) {
    present_.insert(island);
  } else {
    present_.erase(island);
    away_[island] = now;
    lead_.forget();
  }
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    Side& side = sides_[f];
    if (fragments_.elements(f) == 0) continue;
    side.early.erase(island);
    if (side.home && present) side.home->joined(island);
    if (side.home && !present) {
      side.home->left(island);
      side.joined.erase(island);
      side.asked.erase(island);
    }
    if (home_of(f) != island) continue;
    side.local.parted();
    if (present) join(f);
  }
}

void Exchange::join(std::uint32_t fragment) {
  const LocalFragment& local = sides_[fragment].local;
  const bool knows = island_.begun == 0 || local.version() > 0;
  node::Letter letter = letter_of(!knows               ? LetterKind::kJoinAnew
                                  : local.is_through() ? LetterKind::kJoinThrough
                                                       : LetterKind::kJoin,
                                  fragment);
  letter.number = local.version();
  letter.included = local.counted();
  letter.tokens = local.told();
  send_home(std::move(letter));
  if (hurries_ > 0) send_hurry(fragment);
}

/// Of a letter to a new home, whose own versions nobody has yet.
bool Exchange::is_of_homes_before(const node::Letter& letter) const {
  const auto& home = homes_[letter.fragment % island_.count()];
  return generation_of(letter.number) < home->generation;
}

Status Exchange::joined(std::uint32_t island, const node::Letter& letter) {
  Side& side = sides_[letter.fragment];
  // One that joins again at once would be told the same again.
  if (!joins_.emplace(island, letter.fragment).second) return {};
  if (!side.ready && !is_of_homes_before(letter))
    return wrong("of a version that no home has made yet");
  side.joined[island] = letter.number;
  // Of a new home: what the one before has counted is not to be counted again.
  side.home->remember(island, letter.included);
  if (letter.tokens == 0) {
    side.home->began_anew(island);
    side.done.erase(island);
  }
  const auto kind = static_cast<LetterKind>(letter.kind);
  if (kind == LetterKind::kJoinThrough) side.home->through(island);
  if (side.ready) {
    welcome(island, letter.fragment, letter.number);
  } else if (letter.number > side.home->version()) {
    if (side.asked.insert(island).second)
      send_(island, letter_of(LetterKind::kAsk, letter.fragment));
  } else if (kind != LetterKind::kJoinAnew) {
    side.informed = true;
  }
  return {};
}

void Exchange::send_have(std::uint32_t island, std::uint32_t fragment) {
  const HomeFragment& home = *sides_[fragment].home;
  node::Letter have = letter_of(LetterKind::kHave, fragment);
  have.number = home.received(island);
  have.tokens = home.version();
  send_(island, std::move(have));
}

/// What the home has of an island, and what the island has missed since version `known`.
void Exchange::welcome(std::uint32_t island, std::uint32_t fragment, std::uint64_t known) {
  const HomeFragment& home = *sides_[fragment].home;
  send_have(island, fragment);
  send_pace(island, fragment);  // it may have heard of another home's
  std::vector<const HomeFragment::Update*> updates;
  if (!home.missed(island, known, updates)) return send_snapshot(island, fragment);
  for (const HomeFragment::Update* update : updates)
    send_update(island, fragment, *update, Duration::max());
}

Status Exchange::met(const node::Letter& letter, Time now) {
  Side& side = sides_[letter.fragment];
  ATOLL_ASSIGN(const auto again, side.local.met(letter.number));
  side.home_version = letter.tokens;
  for (const Told* telling : again) send_telling(letter.fragment, *telling);
  tell_last(letter.fragment, now);
  // It may not have come.
  if (side.settled) send_home(letter_of(LetterKind::kDone, letter.fragment));
  return {};
}

void Exchange::send_snapshot(std::uint32_t island, std::uint32_t fragment) {
  const HomeFragment& home = *sides_[fragment].home;
  node::Letter letter = letter_of(LetterKind::kSnapshot, fragment);
  letter.number = home.version();
  letter.included = home.counted(island);
  letter.tokens = home.ended() ? kEnded : 0;
  append(letter.payload, home.global());
  append(letter.payload, home.velocity());
  send_(island, std::move(letter));
}

/// Of a snapshot or a replica: the weights into change_, their momentum into velocity_.
Status Exchange::read_state(const node::Letter& letter) {
  const std::size_t elements = fragments_.elements(letter.fragment);
  change_.resize(elements);
  velocity_.resize(elements);
  const std::size_t half = elements * sizeof(float);
  if (letter.payload.size() != 2 * half)
    return wrong("weights and momentum of another size than the fragment's");
  std::memcpy(change_.data(), letter.payload.data(), half);
  std::memcpy(velocity_.data(), letter.payload.data() + half, half);
  if (may_be(change_)) return {};
  return wrong("weights larger than training can make them, or no numbers");
}

Status Exchange::snapshot(const node::Letter& letter) {
  Side& side = sides_[letter.fragment];
  ATOLL_TRY(read_state(letter));
  ATOLL_ASSIGN(const auto taken, side.local.take_snapshot(letter.number, letter.included, change_));
  if (taken != LocalFragment::Taken::kDone) return {};
  if (!side.home) side.outer.restore(velocity_);
  taken_last(letter.fragment, letter.tokens == kEnded);
  return {};
}

void Exchange::send_replica(std::uint32_t island, std::uint32_t fragment) {
  const Side& side = sides_[fragment];
  node::Letter letter = letter_of(LetterKind::kReplica, fragment);
  letter.number = side.local.version();
  letter.tokens = side.settled ? kEnded : 0;
  append(letter.payload, side.local.global());
  append(letter.payload, side.outer.velocity());
  send_(island, std::move(letter));
}

Status Exchange::replica(std::uint32_t island, const node::Letter& letter) {
  Side& side = sides_[letter.fragment];
  if (side.asked.erase(island) == 0) return wrong("a replica for which nobody has asked");
  if (!side.ready && !is_of_homes_before(letter))
    return wrong("of a version that no home has made yet");
  ATOLL_TRY(read_state(letter));
  if (side.ready || letter.number <= side.home->version()) return {};
  side.home->adopt(letter.number, change_, velocity_);
  side.informed = true;
  if (letter.tokens == kEnded) side.home->end();
  return {};
}

bool Exchange::is_caught_up(std::uint32_t fragment) const {
  const Side& side = sides_[fragment];
  return side.home ? side.ready : side.local.is_met() && side.local.version() >= side.home_version;
}

bool Exchange::caught_up() const { return !still_missing(); }

std::optional<std::string> Exchange::still_missing() const {
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    if (fragments_.elements(f) == 0 || is_caught_up(f)) continue;
    const std::string fragment = "fragment " + std::to_string(f);
    const auto home = home_of(f);
    if (!home) return fragment + ", of which the scheduler has not said where its home is";
    if (*home == island_.index)
      return fragment + ", of which the others have not said what they have";
    const std::string& where = island_.datacenters[*home];
    return fragment + (present_.contains(*home) ? ", which " + where + " has not sent"
                                                : ", whose home " + where + " cannot be reached");
  }
  return std::nullopt;
}

bool Exchange::nobody_knows() const {
  return std::ranges::any_of(sides_, [this](const Side& side) {
    return side.home && !side.informed &&
           std::ranges::all_of(company_, [&](auto island) { return side.joined.contains(island); });
  });
}

/// For one that is away, at the end.
Duration Exchange::patience() const { return std::max(local_.grace, local_.outage + kMoveTime); }

/// Somebody who trains is only cut off, and not for long.
bool Exchange::may_return(Time now) const {
  return std::ranges::any_of(company_, [&](std::uint32_t island) {
    return !present_.contains(island) && now < away_.at(island) + patience();
  });
}

bool Exchange::is_given_up(std::uint32_t fragment, Time now) const {
  const auto home = home_of(fragment);
  if (!home || home == island_.index || present_.contains(*home)) return false;
  const Time since = std::max(away_.at(*home), sides_[fragment].home_since);
  return now >= since + patience();
}

}  // namespace reef::actors
