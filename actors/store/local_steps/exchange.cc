#include "actors/store/local_steps/exchange.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "runtime/base/log.h"

namespace reef::actors {
namespace {

constexpr std::uint64_t kMostTokens = std::uint64_t{1} << 40;  ///< of a telling

Error wrong(const std::string& what) { return {Code::kProto, "letter", what}; }

std::string name_of(const codec::EdgeCodec& codec, bool last) {
  return last ? codec::name(of_last(codec)) : codec::name(codec);
}

}  // namespace

Exchange::Exchange(const job::LocalSteps& local, const job::Island& island,
                   const Fragments& fragments, const std::vector<std::vector<float>>& global,
                   SendLetter send, Time now)
    : local_(local),
      island_(island),
      codec_(codec::parse_edge(local.codec).value()),  // the job was checked
      passes_on_(job::passes_on(local, island.count())),
      fragments_(fragments),
      send_(std::move(send)),
      usual_pace_(job::dues_in_interval(local)),
      late_(now + local.grace),
      homes_(island.count()) {
  for (std::uint32_t other = 0; other < island.count(); ++other) {
    away_[other] = now;
    if (island.begun == 0) homes_[other] = job::Home{other, 0};
    if (other != island.index) company_.insert(other);
  }
  for (std::uint32_t f = 0; f < fragments.count(); ++f) {
    Side& side =
        sides_.emplace_back(Side{LocalFragment(island.index, global[f]), make_coder(f),
                                 OuterOptimizer(outer(), is_home(f) ? 0 : global[f].size())});
    side.dues = side.told_at = job::dues_until(local, f, island.first_step);
    side.home_since = now;
    side.pace = Pace(usual_pace_, usual_pace_);
    side.every = usual_pace_;
    if (fragments.elements(f) == 0) {
      side.settled = true;
    } else if (is_home(f)) {
      make_home(f);
      open_home(f, now);
    }
  }
}

void Exchange::trained(std::uint64_t tokens, std::uint64_t done) {
  done_ = done;
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

void Exchange::make_telling(std::uint32_t fragment, std::span<const float> weights, bool last,
                            Time now) {
  Side& side = sides_[fragment];
  const Told& telling = side.local.tell(weights, last, side.coder);
  if (!side.home) {
    side.told_when[telling.number] = now;
    return send_telling(fragment, telling);
  }
  const Status brought = side.home->bring(view_of(telling), done_, now);
  if (!brought.ok()) log_error(brought.error().text());
}

void Exchange::send_telling(std::uint32_t fragment, const Told& telling) {
  node::Letter letter =
      letter_of(telling.last ? LetterKind::kLastProgress : LetterKind::kProgress, fragment);
  letter.number = telling.number;
  letter.tokens = telling.tokens;
  letter.included = done_;
  letter.codec = name_of(codec_, telling.last);
  letter.payload = telling.encoded;
  send_home(std::move(letter));
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
  joins_.clear();
  for (const Post::Event& event : events) {
    if (event.island >= island_.count() || event.island == island_.index) continue;
    if (event.present) {
      std::erase_if(joins_, [&event](const auto& one) { return one.first == event.island; });
      changed(event.island, *event.present, now);
    } else if (const Status opened = open(event.island, event.letter, now); !opened.ok()) {
      log_warning("island " + island_.datacenters[event.island] + ": " + opened.error().text());
    }
  }
}

Status Exchange::open(std::uint32_t island, const node::Letter& letter, Time now) {
  if (letter.fragment >= sides_.size() || fragments_.elements(letter.fragment) == 0)
    return wrong("of a fragment that there is not");
  Side& side = sides_[letter.fragment];
  const auto kind = static_cast<LetterKind>(letter.kind);
  const bool joins = kind == LetterKind::kJoin || kind == LetterKind::kJoinAnew ||
                     kind == LetterKind::kJoinThrough;
  const bool to_home = kind == LetterKind::kProgress || kind == LetterKind::kLastProgress ||
                       kind == LetterKind::kDone || kind == LetterKind::kLate ||
                       kind == LetterKind::kHurry || kind == LetterKind::kReplica;
  const bool from_home = kind == LetterKind::kHave || kind == LetterKind::kUpdate ||
                         kind == LetterKind::kLastUpdate || kind == LetterKind::kSnapshot ||
                         kind == LetterKind::kAsk || kind == LetterKind::kPace ||
                         kind == LetterKind::kAhead;
  if (to_home && !side.home) return wrong("for the home, which is elsewhere");
  if (from_home && home_of(letter.fragment) != island) return wrong("of a home that it is not");
  // It has heard before us that the home is here, and will be asked to join again.
  if (joins && !side.home) {
    side.early.insert(island);
    return {};
  }
  if (kind == LetterKind::kHome && home_of(letter.fragment) != island) return {};
  switch (kind) {
    case LetterKind::kJoin:
    case LetterKind::kJoinAnew:
    case LetterKind::kJoinThrough:
      return joined(island, letter);
    case LetterKind::kHome:
      side.local.parted();
      join(letter.fragment);
      return {};
    case LetterKind::kHave:
      return met(letter, now);
    case LetterKind::kProgress:
    case LetterKind::kLastProgress: {
      const bool last = kind == LetterKind::kLastProgress;
      if (letter.codec != name_of(codec_, last)) return wrong("in another codec than ours");
      if (letter.tokens > kMostTokens) return wrong("of more tokens than anybody has trained");
      side.brought_at[island] = now;
      const ToldView told{island, last, letter.number, letter.tokens, letter.payload};
      return side.home->bring(told, letter.included, now);
    }
    case LetterKind::kUpdate:
    case LetterKind::kLastUpdate:
      return updated(letter, kind == LetterKind::kLastUpdate, now);
    case LetterKind::kSnapshot:
      return snapshot(letter);
    case LetterKind::kAsk:
      send_replica(island, letter.fragment);
      return {};
    case LetterKind::kReplica:
      return replica(island, letter);
    case LetterKind::kDone:
      side.done.insert(island);
      return {};
    case LetterKind::kPace:
      return paced(letter);
    case LetterKind::kAhead:
      side.ahead = std::chrono::microseconds(std::min(letter.tokens, kLongestWait));
      return {};
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

/// The mean progress, into change_: of what others told, as the home has passed it on, and of what
/// we told that is in it, or as the home has made it. False: nobody's.
Result<bool> Exchange::mean_of(const node::Letter& update) {
  Side& side = sides_[update.fragment];
  change_.assign(fragments_.elements(update.fragment), 0);
  contributions_.begin(island_.count(), change_.size());
  ends_ = false;
  const auto add = [&](const ToldView& told) -> Status {
    ends_ = ends_ || told.last;
    if (told.tokens > kMostTokens) return wrong("of more tokens than anybody has trained");
    ATOLL_TRY(side.coder.decode(told.encoded, told.last, change_));
    contributions_.add(told.island == kTogether ? 0 : told.island, told.tokens, change_);
    return {};
  };
  ATOLL_ASSIGN(const std::vector<ToldView> all, read_told(update.payload, island_.count()));
  for (const ToldView& told : all) {
    if ((told.island == kTogether) == passes_on_ || told.island == island_.index)
      return wrong("carries what the receiver knows itself, or what is not passed on");
    ATOLL_TRY(add(told));
  }
  for (const Told& own : side.local.pending()) {
    if (passes_on_ && own.number <= update.included) ATOLL_TRY(add(view_of(own)));
  }
  return contributions_.mean(change_);
}

/// As the home does: into change_ what all add to the global weights.
Status Exchange::step_along(const node::Letter& update) {
  if (update.codec != codec::name(codec_)) return wrong("in another codec than ours");
  ATOLL_ASSIGN(const bool steps, mean_of(update));
  if (steps) sides_[update.fragment].outer.step(change_, ends_);
  return {};
}

Status Exchange::updated(const node::Letter& letter, bool last, Time now) {
  Side& side = sides_[letter.fragment];
  if (letter.number <= side.local.version()) return {};
  if (letter.number != side.local.version() + 1) {
    join(letter.fragment);
    return {};
  }
  if (!side.local.may_count(letter.included)) return wrong("includes what was never told");
  ATOLL_TRY(step_along(letter));
  ATOLL_TRY(side.local.take(letter.number, letter.included, change_));
  lead_.waited(std::exchange(side.ahead, {}), homes_elsewhere());
  look_at_line(letter.fragment, letter, now);
  taken_last(letter.fragment, last);
  return {};
}

/// There is no update after this one, if it was the last and this island has no more to tell: of
/// one that was cut off when the others ended, it is not.
void Exchange::taken_last(std::uint32_t fragment, bool last) {
  Side& side = sides_[fragment];
  side.settled = last && side.local.is_through();
  if (side.settled) send_home(letter_of(LetterKind::kDone, fragment));
}

void Exchange::send_update(std::uint32_t island, std::uint32_t fragment,
                           const HomeFragment::Update& update, Duration waited) {
  if (!sides_[fragment].home->serves(update, island)) return send_snapshot(island, fragment);
  node::Letter letter =
      letter_of(update.last ? LetterKind::kLastUpdate : LetterKind::kUpdate, fragment);
  letter.number = update.version;
  letter.included = update.included[island];
  letter.tokens = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(waited).count());
  letter.codec = codec::name(codec_);
  for (const Told& told : update.told) {
    if (told.island != island) append(letter.payload, told);
  }
  send_(island, std::move(letter));
}

void Exchange::update(Time now) {
  const bool may_end = !may_return(now);
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    Side& side = sides_[f];
    if (!side.home) continue;
    if (!side.ready && may_open(side, now)) open_home(f, now);
    for (const auto& [island, since] : away_) {
      const bool is_there = island == island_.index || present_.contains(island);
      if (!is_there && now >= late_) side.home->left(island);
    }
    const auto due = side.home->due(may_end);
    if (!side.ready || !due || *due > now) continue;
    const HomeFragment::Update& made = side.home->update(may_end, change_);
    side.done.clear();
    const auto taken = side.local.take(made.version, made.included[island_.index], change_);
    if (!taken.ok()) log_error(taken.error().text());
    side.settled = made.last;
    for (const std::uint32_t island : present_) {
      if (made.leads[island] > Duration{}) send_ahead(island, f, made.leads[island]);
      send_update(island, f, made, now - side.brought_at[island]);
    }
    for (const std::uint32_t island : made.overfull) send_have(island, f);
  }
}

bool Exchange::waits_for_somebody(Time now) const {
  if (may_return(now)) return true;
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    const Side& side = sides_[f];
    if (side.home ? !std::ranges::includes(side.done, present_)
                  : !side.settled && home_of(f) && present_.contains(*home_of(f)))
      return true;
  }
  return false;
}

bool Exchange::finished(Time now) const {
  const bool may_end = !may_return(now);
  for (std::uint32_t f = 0; f < sides_.size(); ++f) {
    const Side& side = sides_[f];
    if (!side.settled && !is_given_up(f, now)) return false;
    if (side.home && !(may_end && std::ranges::includes(side.done, present_))) return false;
  }
  return true;
}

}  // namespace reef::actors
