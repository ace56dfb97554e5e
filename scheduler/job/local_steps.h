#pragma once
// Datacenters that each train by themselves and tell the others of their progress now and then
// (DiLoCo, arXiv 2311.08105), as a job asks for it. Pure data. What comes of it stands in
// actors/store/local_steps.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/base/clock.h"

namespace reef::job {

struct LocalSteps {
  /// Whether a faster datacenter makes more steps, and others fewer, in as much time; else all make
  /// as many.
  bool own_pace = true;
  std::uint64_t inner_steps = 32;  ///< of a datacenter, from one telling of a fragment to the next
  /// The weights' parts, which are told one after the other; at most inner_steps.
  std::uint32_t fragments = 4;
  std::string codec = "int4+zstd";  ///< of progress and of updates
  double outer_learning_rate = 0.7;
  double outer_momentum = 0.9;
  std::uint32_t quorum = 1;                   ///< datacenters without which there is no update
  Duration grace = std::chrono::seconds(30);  ///< for the others, once there is a quorum
  /// For a datacenter that the scheduler cannot reach and that may train on by itself, until it is
  /// given up, and ends.
  Duration outage = std::chrono::seconds(120);
  /// By which share a held-out loss may be above the best before it, twice in a row, until
  /// fragments are told twice as often (actors/store/local_steps/loss_guard.h); 0: whatever it is.
  double loss_guard = 0;
  bool operator==(const LocalSteps&) const = default;
};

/// Mode auto: the planner chooses between lock-step, with which codecs, and local steps, how far
/// apart and how packed (scheduler/plan/modes.h).
struct AutomaticMode {
  static constexpr double kUsualGuard = 0.02;  ///< of jobs that evaluate and say none
  /// The most text that a mode may be expected to need beyond that of lock-step without codecs, for
  /// the same loss.
  double extra_tokens = 0.5;
  LocalSteps local = {};  ///< what is not chosen: how local steps are to be, if they are
  bool operator==(const AutomaticMode&) const = default;
};

/// What one of the datacenters is told of its place among them. By the scheduler.
struct Island {
  std::uint32_t index = 0;
  std::vector<std::string> datacenters;  ///< of all islands, by index
  std::uint32_t begun = 0;               ///< times before, with what was lost
  std::uint64_t first_step = 0;          ///< behind which it begins
  std::uint32_t count() const { return static_cast<std::uint32_t>(datacenters.size()); }
  bool operator==(const Island&) const = default;
};

/// Where the fragments have their home that began at one island. It moves when that island is lost;
/// the number grows with each move of a meeting.
struct Home {
  std::uint32_t island = 0;
  std::uint32_t generation = 0;  ///< 0: has not moved
  bool operator==(const Home&) const = default;
};

/// What the scheduler tells an island of the others. What it said before no longer counts.
struct Company {
  std::set<std::uint32_t> islands{};  ///< that train, beside it
  std::vector<Home> homes{};          ///< by the island at which fragments began
};

struct Job;

/// The job of one island: the user's, in its datacenter alone.
Job island_of(const Job& job, Island island);

/// A job that is described as in lock-step, by local steps of so many datacenters instead: their
/// batches together are at most the job's, and the text is as much. None of more datacenters than
/// leaves.
std::optional<Job> in_local_steps(const Job& job, std::uint32_t datacenters,
                                  const LocalSteps& local);

/// The same for a datacenter that makes `factor` times the steps of the job in the same time: what
/// counts in steps counts as many more.
Job at_pace(const Job& job, double factor);

/// Where a job stands that goes on from step `step` of one whose pace was `pace`.
std::uint64_t step_at_pace(const Job& job, std::uint64_t step, double pace);

/// Into how many due dates of each fragment inner_steps are cut, so that a loss guard can have it
/// told more often: 4 or 2 where these come out even and leave each fragment a step of its own.
std::uint32_t dues_in_interval(const LocalSteps& local);

/// Whether an update carries what each of so many islands has told, and nothing is rounded twice;
/// else the mean of it, where that is fewer bytes: of a dense codec, from three islands on.
bool passes_on(const LocalSteps& local, std::uint32_t islands);

/// How often a fragment was due in the first `steps` of a job.
std::uint64_t dues_until(const LocalSteps& local, std::uint32_t fragment, std::uint64_t steps);

/// Which fragment is due after this step: each once in inner_steps, or so many times, evenly
/// spread, the last one when these are over.
std::optional<std::uint32_t> fragment_due(const LocalSteps& local, std::uint64_t step);

}  // namespace reef::job
