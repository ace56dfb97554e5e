// How often fragments are told: what the home makes of what islands see of their lines and losses.

#include <algorithm>
#include <utility>

#include "actors/store/local_steps/exchange.h"
#include "runtime/base/log.h"

namespace reef::actors {
namespace {

/// A telling that was longer on its way, there and back, leaves the line no time for the next ones:
/// a store tells no more then, either (LocalFragment::kMostPending).
constexpr int kMostIntervals = 2;

}  // namespace

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
    send_home(letter_of(LetterKind::kLate, fragment));
}

void Exchange::send_ahead(std::uint32_t island, std::uint32_t fragment, Duration lead) {
  node::Letter letter = letter_of(LetterKind::kAhead, fragment);
  letter.tokens = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(lead).count());
  send_(island, std::move(letter));
}

std::size_t Exchange::homes_elsewhere() const {
  std::size_t count = 0;
  for (std::uint32_t f = 0; f < sides_.size(); ++f)
    count += fragments_.elements(f) > 0 && !sides_[f].home;
  return count;
}

/// At the home: for all.
void Exchange::set_pace(std::uint32_t fragment, std::uint32_t every) {
  Side& side = sides_[fragment];
  if (every == side.every) return;
  const char* why =
      every > side.every ? "updates come too late" : "lines carry as much, or losses ask for it";
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
  if (!Pace::is_one(letter.number)) return Error{Code::kProto, "letter", "a pace that no home has"};
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
  send_home(std::move(letter));
}

std::uint32_t Exchange::longest_pace() const {
  std::uint32_t longest = 1;
  for (const Side& side : sides_) longest = std::max(longest, side.every);
  return longest;
}

}  // namespace reef::actors
