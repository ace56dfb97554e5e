#include "ops/tune/tuner.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "ops/tune/processor.h"
#include "runtime/base/check.h"
#include "runtime/base/log.h"

namespace reef::ops::tune {

/// The measurements of one CallKey.
struct Tuner::Trial {
  struct Candidate {
    const Entry* entry;
    std::vector<double> seconds = {};
    bool hopeless = false;
  };

  std::string text;
  std::vector<Candidate> candidates;
  bool warm = false;
  std::size_t turn = 0;
  bool from_cache = false;
  std::atomic<const Entry*> chosen = nullptr;
  double seconds = 0;  ///< of the chosen

  /// Whose turn it is among those still in the race.
  Candidate& next() {
    do {
      turn = (turn + 1) % candidates.size();
    } while (candidates[turn].hopeless);
    return candidates[turn];
  }
};

namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

}  // namespace

std::vector<const Entry*> worth_measuring(std::span<const Entry* const> candidates,
                                          const Call& call, double margin) {
  struct Rated {
    const Entry* entry;
    double estimate;
  };
  std::vector<Rated> rated;
  double least = std::numeric_limits<double>::infinity();
  for (const Entry* entry : candidates) {
    const double estimate = entry->estimate == nullptr ? 0 : entry->estimate(call);
    if (entry->estimate != nullptr) least = std::min(least, estimate);
    rated.push_back({entry, estimate});
  }
  std::stable_sort(rated.begin(), rated.end(),
                   [](const Rated& a, const Rated& b) { return a.estimate < b.estimate; });
  std::vector<const Entry*> worth;
  for (const Rated& candidate : rated) {
    if (candidate.estimate <= margin * least) worth.push_back(candidate.entry);
  }
  return worth;
}

std::size_t Tuner::Hash::operator()(Words words) const {
  std::uint64_t hash = words.size();
  for (const std::uint64_t word : words) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;  // 2^64 / the golden ratio: Knuth, volume 3, 6.4
    hash ^= hash >> 29;
  }
  return hash;
}

Tuner::Tuner(const std::filesystem::path& cache, TunerOptions options)
    : options_(options), cache_(cache), keeps_(!cache.empty()) {
  CHECK_LE(1u, options_.samples);
  if (!keeps_) return;
  Result<Choices> known = cache_.read(processor_text());
  if (known.ok()) {
    known_ = std::move(known).value();
    return;
  }
  log_warning("kernels are measured anew: " + known.error().text());
  keeps_ = false;
}

Tuner::~Tuner() { save(); }

void Tuner::run(std::span<const Entry* const> candidates, const Call& call) {
  Trial& trial = trial_of(candidates, call);
  if (const Entry* chosen = trial.chosen.load(std::memory_order_acquire)) {
    chosen->kernel(call);
  } else {
    measure(trial, call);
  }
}

Tuner::Trial& Tuner::trial_of(std::span<const Entry* const> candidates, const Call& call) {
  const Key& key = candidates[0]->key;
  const CallKey call_key(key, call);
  {
    const std::shared_lock lock(mutex_);
    const auto found = trials_.find(call_key.words());
    if (found != trials_.end()) return *found->second;
  }
  const Status fits = check_candidates(candidates);
  CHECK(fits.ok()) << fits.error().text();
  auto trial = std::make_unique<Trial>();
  trial->text = text_of(key, call);
  for (const Entry* entry : worth_measuring(candidates, call, options_.estimate_margin)) {
    trial->candidates.push_back({entry});
  }
  if (trial->candidates.size() == 1) trial->chosen = trial->candidates[0].entry;
  if (const auto known = known_.find(trial->text); known != known_.end()) {
    for (const Entry* entry : candidates) {
      if (entry->name != known->second.kernel) continue;
      trial->chosen = entry;
      trial->seconds = known->second.seconds;
      trial->from_cache = true;
    }
  }
  const std::unique_lock lock(mutex_);
  std::vector<std::uint64_t> words(call_key.words().begin(), call_key.words().end());
  const auto [place, added] = trials_.emplace(std::move(words), std::move(trial));
  if (added && place->second->chosen == nullptr) ++open_;
  return *place->second;
}

Duration Tuner::time(const Entry& entry, const Call& call) const {
  const bool waits = !is_host(call.context.device());
  if (waits) call.context.synchronize();
  const Time start = options_.clock->now();
  entry.kernel(call);
  if (waits) call.context.synchronize();
  return options_.clock->now() - start;
}

void Tuner::measure(Trial& trial, const Call& call) {
  Trial::Candidate* candidate = nullptr;
  bool cold = false;
  {
    const std::unique_lock lock(mutex_);
    cold = !std::exchange(trial.warm, true);
    candidate = cold ? &trial.candidates[0] : &trial.next();
  }
  const Duration taken = time(*candidate->entry, call);
  bool all_closed = false;
  {
    const std::unique_lock lock(mutex_);
    if (cold || trial.chosen != nullptr) return;
    candidate->seconds.push_back(seconds(taken));
    all_closed = close(trial) && open_ == 0;
  }
  if (all_closed) save();
}

/// Fixes the choice when every candidate in the race has its samples.
bool Tuner::close(Trial& trial) {
  double best = std::numeric_limits<double>::infinity();
  for (const Trial::Candidate& candidate : trial.candidates) {
    if (candidate.seconds.size() < 2) return false;
    best = std::min(best, least(candidate.seconds));
  }
  for (Trial::Candidate& candidate : trial.candidates) {
    candidate.hopeless = least(candidate.seconds) > options_.hopeless * best;
  }
  const Trial::Candidate* chosen = nullptr;
  double chosen_seconds = 0;
  for (const Trial::Candidate& candidate : trial.candidates) {
    if (candidate.hopeless) continue;
    if (candidate.seconds.size() < options_.samples) return false;
    const double taken = median(candidate.seconds);
    if (chosen == nullptr || taken < options_.gain * chosen_seconds) {
      chosen = &candidate;
      chosen_seconds = taken;
    }
  }
  trial.seconds = chosen_seconds;
  trial.chosen.store(chosen->entry, std::memory_order_release);
  unsaved_[trial.text] = {std::string(chosen->entry->name), chosen_seconds};
  --open_;
  return true;
}

void Tuner::save() {
  const std::lock_guard saving(saving_);
  Choices choices;
  {
    const std::unique_lock lock(mutex_);
    choices.swap(unsaved_);
  }
  if (choices.empty() || !keeps_) return;
  const Status merged = cache_.merge(processor_text(), choices);
  if (merged.ok()) return;
  log_warning("measured kernels are not kept: " + merged.error().text());
  keeps_ = false;
}

std::vector<Tuner::Decision> Tuner::decisions() const {
  std::vector<Decision> decisions;
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [key, trial] : trials_) {
      const Entry* const chosen = trial->chosen;
      decisions.push_back({trial->text,
                           {std::string(chosen == nullptr ? "" : chosen->name), trial->seconds},
                           trial->from_cache});
    }
  }
  std::sort(decisions.begin(), decisions.end(),
            [](const Decision& a, const Decision& b) { return a.call < b.call; });
  return decisions;
}

}  // namespace reef::ops::tune
