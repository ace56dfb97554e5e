#pragma once
// Choice among kernels that give the same bits, by measuring them on the calls that a run makes
// anyway.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ops/catalog/catalog.h"
#include "ops/tune/cache.h"
#include "ops/tune/call_key.h"
#include "runtime/base/clock.h"

namespace reef::ops::tune {

/// How long a question stays open, and against what it is asked.
struct TunerOptions {
  /// Timed calls of each candidate that stays in the race.
  std::size_t samples = 7;
  /// Candidates estimated at more than this times the least are never run.
  double estimate_margin = 1.5;
  /// After two samples, those with more than this times the best time are run no more.
  double hopeless = 1.5;
  /// The preferred candidate stays unless another takes less than this part of its time.
  double gain = 0.99;
  const Clock* clock = &system_clock();
};

/// The candidates of a key in the order of their estimates, table order among equals, without those
/// that the estimates rule out.
std::vector<const Entry*> worth_measuring(std::span<const Entry* const> candidates,
                                          const Call& call, double margin);

/// Each call runs one candidate, once: the first, unmeasured, to warm the memory; then all of them
/// in turn until each has its samples; then, for good, that with the least median. No call is made
/// twice, so ops that write in place are safe to measure, and what measuring costs is the
/// difference between the candidates: at most `samples` calls each, two for hopeless ones.
/// Choices are kept by CallKey, and in the cache by its text and the processor.
/// Thread: any; contexts may call at once.
/// Failure: a cache that cannot be read or written is told once in the log and not used.
class Tuner final : public Chooser {
 public:
  /// An empty path keeps nothing on disk.
  explicit Tuner(const std::filesystem::path& cache, TunerOptions options = {});
  /// Writes what was chosen and not yet written.
  ~Tuner() override;

  void run(std::span<const Entry* const> candidates, const Call& call) override;
  /// Writes what was chosen since the last time. run() does when no question is open.
  void save();

  struct Decision {
    std::string call;
    Choice choice;  ///< its kernel is empty while candidates are being measured
    bool from_cache = false;
  };
  /// Of every call seen so far, by its text.
  std::vector<Decision> decisions() const;

 private:
  struct Trial;
  using Words = std::span<const std::uint64_t>;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(Words words) const;
  };
  struct Same {
    using is_transparent = void;
    bool operator()(Words a, Words b) const { return std::ranges::equal(a, b); }
  };

  Trial& trial_of(std::span<const Entry* const> candidates, const Call& call);
  void measure(Trial& trial, const Call& call);
  Duration time(const Entry& entry, const Call& call) const;
  bool close(Trial& trial);

  const TunerOptions options_;
  Cache cache_;
  bool keeps_;  ///< the cache is usable; guarded by saving_
  Choices known_;
  mutable std::shared_mutex mutex_;  ///< of trials_ and of what is in them, but for `chosen`
  std::unordered_map<std::vector<std::uint64_t>, std::unique_ptr<Trial>, Hash, Same> trials_;
  std::size_t open_ = 0;  ///< trials without a choice
  std::mutex saving_;
  Choices unsaved_;  ///< guarded by mutex_
};

/// Makes a chooser the catalog's for as long as it lives.
class Tuning {
 public:
  explicit Tuning(Chooser& chooser) { set_chooser(&chooser); }
  ~Tuning() { set_chooser(nullptr); }
  Tuning(const Tuning&) = delete;
  Tuning& operator=(const Tuning&) = delete;
};

}  // namespace reef::ops::tune
