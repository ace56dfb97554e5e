#include "actors/store/local_steps/exchange.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>

#include "runtime/base/log.h"

namespace reef::actors {
namespace {

node::Letter letter_of(LetterKind kind, std::uint32_t fragment) {
  node::Letter letter;
  letter.kind = static_cast<std::uint16_t>(kind);
  letter.fragment = fragment;
  return letter;
}

constexpr std::uint64_t kEnded = 1;  ///< tokens of a snapshot after which no update comes
constexpr std::uint64_t kLongestWait = std::uint64_t{1} << 40;  ///< microseconds
/// A telling that was longer on its way, there and back, leaves the line no time for the next ones:
/// a store tells no more then, either (LocalFragment::kMostPending).
constexpr int kMostIntervals = 2;
constexpr std::uint64_t kMostTokens = std::uint64_t{1} << 40;  ///< of a telling

Error wrong(const std::string& what) { return {Code::kProto, "letter", what}; }

}  // namespace

Exchange::Exchange(const job::LocalSteps& local, const job::Island& island,
                   const Fragments& fragments, const std::vector<std::vector<float>>& global,
                   SendLetter send, Time now)
    : island_(island),
      codec_(codec::name(codec::parse_edge(local.codec).value())),
      fragments_(fragments),
      send_(std::move(send)),
      grace_(local.grace),
      usual_pace_(job::dues_in_interval(local)),
      late_(now + local.grace) {
  for (std::uint32_t other = 0; other < island.count(); ++other) away_[other] = now;
  const codec::EdgeCodec codec = codec::parse_edge(local.codec).value();  // the job was checked
  for (std::uint32_t f = 0; f < fragments.count(); ++f) {
    Side& side = sides_.emplace_back(Side{LocalFragment(global[f]), nullptr, nullptr});
    side.dues = side.told_at = island.first_step / local.inner_steps * usual_pace_;
    side.pace = Pace(usual_pace_);
    side.every = usual_pace_;
    if (fragments.elements(f) == 0) {
      side.settled = true;
      continue;
    }
    if (!is_home(f)) {
      side.coder = std::make_unique<Coder>(codec, fragments.parts(f));
      continue;
    }
    side.home = std::make_unique<HomeFragment>(
        GatheringRules{local.quorum, local.grace},
        OuterSettings{local.outer_learning_rate, local.outer_momentum},
        Coder(codec, fragments.parts(f)), island.count(), global[f]);
    side.ready = false;
    if (island.begun == 0) open_home(f);
  }
}

/// The home knows as much as anybody, and says to all what it has; it counts its own island, too.
void Exchange::open_home(std::uint32_t fragment) {
  Side& side = sides_[fragment];
  side.ready = true;
  if (island_.begun > 0) {
    side.home->begin_generation(island_.begun);
    const auto own =
        side.local.take_snapshot(side.home->version(), side.local.told(), side.home->global());
    if (!own.ok()) log_error(own.error().text());
  }
  if (const auto own = side.local.met(side.home->received(island_.index)); !own.ok())
    log_error(own.error().text());
  for (const auto& [island, version] : side.joined) welcome(island, fragment, version);
}

/// Of a home that has begun anew, which others believe: once all that may know more have answered.
/// Who is away may know most, and is waited for; while nobody is there nobody needs a home.
bool Exchange::may_open(const Side& side, Time now) const {
  const bool all_joined = std::ranges::all_of(
      present_, [&](std::uint32_t island) { return side.joined.contains(island); });
  const bool all_there = present_.size() + 1 == island_.count();
  return !present_.empty() && all_joined && side.asked.empty() && (all_there || now >= late_);
}

void Exchange::trained(std::uint64_t tokens) {
  for (Side& side : sides_) side.local.trained(tokens);
}

void Exchange::tell(std::uint32_t fragment, std::vector<float> weights, bool last, Time now) {
  Side& side = sides_[fragment];
  if (weights.empty()) return;
  if (!last) {
    if (is_told(fragment, now) && side.local.may_tell())
      make_telling(fragment, weights, false, now);
    return;
  }
  side.waiting = std::move(weights);
  tell_last(fragment, now);
}

/// Whether this due date is one that the fragment's pace has.
bool Exchange::is_told(std::uint32_t fragment, Time now) {
  Side& side = sides_[fragment];
  const std::uint64_t number = ++side.dues;
  side.due_every = now - std::exchange(side.last_due, now);
  if (side.home) {
    side.pace.due(static_cast<std::uint32_t>(number - side.told_at), side.local.is_counted());
    set_pace(fragment, side.pace.every());
  }
  if (!Pace::is_told(number, fragment, side.every)) return false;
  if (!side.local.is_behind()) {
    side.told_at = number;
    side.pace.told();
  }
  return true;
}

/// What the lines there and back made of a telling, without the time that it waited at the home
/// for others', who may be slow for other reasons.
void Exchange::look_at_line(std::uint32_t fragment, const node::Letter& update, Time now) {
  Side& side = sides_[fragment];
  const auto told = side.told_when.find(update.included);
  if (told == side.told_when.end()) return;
  const Duration all = now - told->second;
  side.told_when.erase(side.told_when.begin(), std::next(told));
  const auto waited = std::chrono::microseconds(std::min(update.tokens, kLongestWait));
  if (all - waited > kMostIntervals * side.every * side.due_every)
    send_(home_of(fragment), letter_of(LetterKind::kLate, fragment));
}

/// At the home: for all.
void Exchange::set_pace(std::uint32_t fragment, std::uint32_t every) {
  Side& side = sides_[fragment];
  if (every == side.every) return;
  const char* why = every > side.every ? "updates come too late" : "lines carry as much";
  log_info("fragment " + std::to_string(fragment) + " is told at each " + std::to_string(every) +
           " of its due dates, of which " + std::to_string(usual_pace_) +
           " are the job's interval, from now on: " + why);
  side.every = every;
  for (const std::uint32_t island : present_) send_pace(island, fragment);
}

void Exchange::send_pace(std::uint32_t island, std::uint32_t fragment) {
  node::Letter letter = letter_of(LetterKind::kPace, fragment);
  letter.number = sides_[fragment].every;
  send_(island, std::move(letter));
}

Status Exchange::paced(const node::Letter& letter) {
  if (!Pace::is_one(letter.number)) return wrong("a pace that no home has");
  Side& side = sides_[letter.fragment];
  // What is under way is of the pace before, and says nothing of this one.
  if (std::exchange(side.every, static_cast<std::uint32_t>(letter.number)) != letter.number)
    side.told_when.clear();
  return {};
}

void Exchange::hurry() {
  if (usual_pace_ >> hurries_ <= 1) return;
  ++hurries_;
  log_info("held-out losses have risen: fragments are to be told twice as often");
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    if (sides_[f].home) {
      sides_[f].pace.hurry(hurries_);
      set_pace(f, sides_[f].pace.every());
    } else if (fragments_.elements(f) > 0) {
      send_hurry(f);
    }
  }
}

void Exchange::send_hurry(std::uint32_t fragment) {
  node::Letter letter = letter_of(LetterKind::kHurry, fragment);
  letter.number = hurries_;
  send_(home_of(fragment), std::move(letter));
}

std::uint32_t Exchange::longest_pace() const {
  std::uint32_t longest = 1;
  for (const Side& side : sides_) longest = std::max(longest, side.every);
  return longest;
}

void Exchange::make_telling(std::uint32_t fragment, std::span<const float> weights, bool last,
                            Time now) {
  Side& side = sides_[fragment];
  const std::span<const float> progress = side.local.tell(weights, last, side.coder.get());
  const LocalFragment::Telling& telling = side.local.last_told();
  if (side.home) {
    const Status brought =
        side.home->bring(island_.index, telling.number, telling.tokens, last, progress, now);
    if (!brought.ok()) log_error(brought.error().text());
    return;
  }
  side.told_when[telling.number] = now;
  send_telling(fragment, telling);
}

void Exchange::send_telling(std::uint32_t fragment, const LocalFragment::Telling& telling) {
  node::Letter letter =
      letter_of(telling.last ? LetterKind::kLastProgress : LetterKind::kProgress, fragment);
  letter.number = telling.number;
  letter.tokens = telling.tokens;
  letter.codec = codec_;
  letter.payload = telling.encoded;
  send_(home_of(fragment), std::move(letter));
}

/// Weights of after the last step, and what updates since then have made of them.
void Exchange::tell_last(std::uint32_t fragment, Time now) {
  Side& side = sides_[fragment];
  if (!side.waiting || !side.local.is_met()) return;
  std::vector<float> weights = std::move(*std::exchange(side.waiting, std::nullopt));
  if (side.local.corrects()) {
    const std::span<const float> since = side.local.uncorrected();
    std::ranges::transform(weights, since, weights.begin(), std::plus<>());
  }
  make_telling(fragment, weights, true, now);
}

void Exchange::handle(const std::vector<Post::Event>& events, Time now) {
  for (const Post::Event& event : events) {
    if (event.island >= island_.count() || event.island == island_.index) continue;
    if (event.present) {
      changed(event.island, *event.present, now);
    } else if (const Status opened = open(event.island, event.letter, now); !opened.ok()) {
      log_warning("island " + island_.datacenters[event.island] + ": " + opened.error().text());
    }
  }
}

void Exchange::changed(std::uint32_t island, bool present, Time now) {
  if (present) {
    present_.insert(island);
  } else {
    present_.erase(island);
    away_[island] = now;
  }
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    Side& side = sides_[f];
    if (fragments_.elements(f) == 0) continue;
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
  node::Letter letter = letter_of(LetterKind::kJoin, fragment);
  letter.number = local.version();
  letter.included = local.counted();
  letter.tokens = local.told();
  send_(home_of(fragment), std::move(letter));
  if (hurries_ > 0) send_hurry(fragment);
}

Status Exchange::open(std::uint32_t island, const node::Letter& letter, Time now) {
  if (letter.fragment >= sides_.size() || fragments_.elements(letter.fragment) == 0)
    return wrong("of a fragment that there is not");
  Side& side = sides_[letter.fragment];
  const auto kind = static_cast<LetterKind>(letter.kind);
  const bool to_home = kind == LetterKind::kJoin || kind == LetterKind::kProgress ||
                       kind == LetterKind::kLastProgress || kind == LetterKind::kDone ||
                       kind == LetterKind::kLate || kind == LetterKind::kHurry;
  const bool from_home = kind == LetterKind::kHave || kind == LetterKind::kUpdate ||
                         kind == LetterKind::kLastUpdate || kind == LetterKind::kAsk ||
                         kind == LetterKind::kPace;
  if (to_home && !side.home) return wrong("for the home, which is elsewhere");
  if (from_home && home_of(letter.fragment) != island) return wrong("of a home that it is not");
  switch (kind) {
    case LetterKind::kJoin:
      return joined(island, letter);
    case LetterKind::kHave:
      return met(letter, now);
    case LetterKind::kProgress:
    case LetterKind::kLastProgress:
      if (letter.codec != codec_) return wrong("in another codec than ours");
      if (letter.tokens > kMostTokens) return wrong("of more tokens than anybody has trained");
      side.brought_at[island] = now;
      return side.home->bring(island, letter.number, letter.tokens,
                              kind == LetterKind::kLastProgress, letter.payload, now);
    case LetterKind::kUpdate:
    case LetterKind::kLastUpdate:
      return updated(letter, kind == LetterKind::kLastUpdate, now);
    case LetterKind::kSnapshot:
      return snapshot(island, letter);
    case LetterKind::kAsk:
      send_snapshot(island, letter.fragment);
      return {};
    case LetterKind::kDone:
      side.done.insert(island);
      return {};
    case LetterKind::kPace:
      return paced(letter);
    case LetterKind::kHurry:
      side.pace.hurry(static_cast<std::uint32_t>(std::min<std::uint64_t>(letter.number, 31)));
      set_pace(letter.fragment, side.pace.every());
      return {};
    case LetterKind::kLate:
      side.pace.behind();
      set_pace(letter.fragment, side.pace.every());
      return {};
  }
  return wrong("of an unknown kind");
}

Status Exchange::joined(std::uint32_t island, const node::Letter& letter) {
  Side& side = sides_[letter.fragment];
  side.joined[island] = letter.number;
  // Of a home that has begun anew: what its predecessor has counted is not to be counted again.
  side.home->remember(island, letter.included);
  if (letter.tokens == 0) {
    side.home->began_anew(island);
    side.done.erase(island);
  }
  if (side.ready) {
    welcome(island, letter.fragment, letter.number);
  } else if (letter.number > side.home->version()) {
    side.asked.insert(island);
    send_(island, letter_of(LetterKind::kAsk, letter.fragment));
  }
  return {};
}

/// What the home has of an island, and what the island has missed since version `known`.
void Exchange::welcome(std::uint32_t island, std::uint32_t fragment, std::uint64_t known) {
  const HomeFragment& home = *sides_[fragment].home;
  node::Letter have = letter_of(LetterKind::kHave, fragment);
  have.number = home.received(island);
  have.tokens = home.version();
  send_(island, std::move(have));
  send_pace(island, fragment);  // it may have heard of another home's
  std::vector<const HomeFragment::Update*> updates;
  if (!home.missed(known, updates)) return send_snapshot(island, fragment);
  for (const HomeFragment::Update* update : updates)
    send_update(island, fragment, *update, Duration::max());
}

Status Exchange::met(const node::Letter& letter, Time now) {
  Side& side = sides_[letter.fragment];
  ATOLL_ASSIGN(const auto again, side.local.met(letter.number));
  side.home_version = letter.tokens;
  for (const LocalFragment::Telling* telling : again) send_telling(letter.fragment, *telling);
  tell_last(letter.fragment, now);
  return {};
}

Status Exchange::updated(const node::Letter& letter, bool last, Time now) {
  Side& side = sides_[letter.fragment];
  if (letter.codec != codec_) return wrong("in another codec than ours");
  change_.resize(fragments_.elements(letter.fragment));
  ATOLL_TRY(side.coder->decode(letter.payload, change_));
  ATOLL_ASSIGN(const auto taken, side.local.take(letter.number, letter.included, change_));
  if (taken == LocalFragment::Taken::kGap) {
    join(letter.fragment);
    return {};
  }
  if (taken == LocalFragment::Taken::kDone) look_at_line(letter.fragment, letter, now);
  if (last) settled(letter.fragment);
  return {};
}

Status Exchange::snapshot(std::uint32_t island, const node::Letter& letter) {
  Side& side = sides_[letter.fragment];
  change_.resize(fragments_.elements(letter.fragment));
  if (letter.payload.size() != change_.size() * sizeof(float))
    return wrong("a snapshot of another size than the fragment's");
  std::memcpy(change_.data(), letter.payload.data(), letter.payload.size());
  if (!std::ranges::all_of(change_, [](float value) { return std::abs(value) <= kMostTold; }))
    return wrong("a snapshot with numbers larger than training can make them, or none");
  if (!side.home) {
    if (home_of(letter.fragment) != island) return wrong("a snapshot, not of the home");
    ATOLL_ASSIGN(const auto taken,
                 side.local.take_snapshot(letter.number, letter.included, change_));
    if (taken == LocalFragment::Taken::kDone && letter.tokens == kEnded) settled(letter.fragment);
    return {};
  }
  side.asked.erase(island);
  if (!side.ready && letter.number > side.home->version()) side.home->adopt(letter.number, change_);
  return {};
}

/// There is no update after this one.
void Exchange::settled(std::uint32_t fragment) {
  sides_[fragment].settled = true;
  send_(home_of(fragment), letter_of(LetterKind::kDone, fragment));
}

void Exchange::send_update(std::uint32_t island, std::uint32_t fragment,
                           const HomeFragment::Update& update, Duration waited) {
  node::Letter letter =
      letter_of(update.last ? LetterKind::kLastUpdate : LetterKind::kUpdate, fragment);
  letter.number = update.version;
  letter.included = update.included[island];
  letter.tokens = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(waited).count());
  letter.codec = codec_;
  letter.payload = update.encoded;
  send_(island, std::move(letter));
}

void Exchange::send_snapshot(std::uint32_t island, std::uint32_t fragment) {
  const Side& side = sides_[fragment];
  node::Letter letter = letter_of(LetterKind::kSnapshot, fragment);
  const std::vector<float> global = side.local.global();
  letter.number = side.local.version();
  letter.included = side.home ? side.home->counted(island) : 0;
  letter.tokens = side.home && side.home->ended() ? kEnded : 0;
  const auto bytes = std::as_bytes(std::span(global));
  letter.payload.assign(bytes.begin(), bytes.end());
  send_(island, std::move(letter));
}

void Exchange::update(Time now) {
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    Side& side = sides_[f];
    if (!side.home) continue;
    if (!side.ready && may_open(side, now)) open_home(f);
    for (const auto& [island, since] : away_) {
      const bool is_there = island == island_.index || present_.contains(island);
      if (!is_there && now >= late_) side.home->left(island);
    }
    const auto due = side.home->due();
    if (!side.ready || !due || *due > now) continue;
    const HomeFragment::Update& made = side.home->update(change_);
    const auto taken = side.local.take(made.version, made.included[island_.index], change_);
    if (!taken.ok()) log_error(taken.error().text());
    side.settled = made.last;
    for (const std::uint32_t island : present_)
      send_update(island, f, made, now - side.brought_at[island]);
  }
}

bool Exchange::waits_for_somebody() const {
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    const Side& side = sides_[f];
    if (side.home ? !std::ranges::includes(side.done, present_)
                  : !side.settled && present_.contains(home_of(f)))
      return true;
  }
  return false;
}

bool Exchange::caught_up() const {
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    const Side& side = sides_[f];
    if (fragments_.elements(f) == 0) continue;
    if (side.home ? !side.ready : !side.local.is_met() || side.local.version() < side.home_version)
      return false;
  }
  return true;
}

bool Exchange::is_given_up(std::uint32_t fragment, Time now) const {
  const std::uint32_t home = home_of(fragment);
  return home != island_.index && !present_.contains(home) && now >= away_.at(home) + grace_;
}

bool Exchange::finished(Time now) const {
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    const Side& side = sides_[f];
    if (!side.settled && !is_given_up(f, now)) return false;
    if (side.home && !std::ranges::includes(side.done, present_)) return false;
  }
  return true;
}

}  // namespace reef::actors
