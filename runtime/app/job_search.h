#pragma once
// The search behind `atoll tune job`: how large a micro-batch, how many of them read ahead, and by
// how many threads. Small on purpose: each is tried around what the descriptor says, and what is
// there stays unless another is clearly faster.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/job/job.h"
#include "scheduler/topology/topology.h"

namespace reef::app {

/// Seconds that one training step of the job takes, by trial.
using MeasureStep = std::function<Result<double>(const job::Job&)>;

struct TriedJob {
  job::Job job;
  std::optional<double> seconds;  ///< none: it does not fit and was not tried
  std::uint64_t memory = 0;       ///< of the fullest node, and
  std::uint64_t limit = 0;        ///< what that node has
  std::string obstacle;           ///< why it does not fit
};

struct Proposal {
  job::Job job;                         ///< the descriptor's with what was found
  std::vector<TriedJob> micro_batches;  ///< by sequencesPerLeaf
  std::vector<TriedJob> loaders;        ///< by prefetch and workers, with the chosen micro-batch
};

/// What another micro-batch must take less than, of the time of the descriptor's: leaves decide
/// about a job's bits, so little does not pay.
inline constexpr double kWorthOtherLeaves = 0.95;
/// Loaders are alike whose times differ by no more than this.
inline constexpr double kAlike = 1.02;
/// Each setting is measured so often, all of them in turn, and its least time counts: what else the
/// machine does only adds, and comes and goes slowly.
inline constexpr int kSearchRounds = 3;

/// The global batch, leaves x sequencesPerLeaf, stays as it is; a job must fit the memory of every
/// node of its plan. `workers` is the most that is tried.
Result<Proposal> search(const job::Job& job, const topology::Topology& topology,
                        std::uint32_t workers, const MeasureStep& measure);

/// For people: what was tried, and the lines for the descriptor.
std::string text_of(const Proposal& proposal);

}  // namespace reef::app
