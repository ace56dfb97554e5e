#pragma once
// The small jobs that simulated clusters run, and the folder they run in.

#include <filesystem>
#include <string>

#include "scheduler/job/job.h"
#include "scheduler/plan/plan.h"

namespace reef::simulation {

/// A folder for one test, gone with it.
class ScratchFolder {
 public:
  ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// How a job is spread.
struct Layout {
  std::uint32_t nodes = 1;
  std::uint32_t replicas = 1;
  std::uint32_t stages = 1;
};
std::string name_of(const Layout& layout);

/// Makes `folder`/data from generated text.
void prepare_text(const ScratchFolder& folder);
/// Six steps of a model of two blocks; four leaves; evaluation and checkpoint at the end.
job::Job small_job(const ScratchFolder& folder, const Layout& layout);
/// Its plan on `layout.nodes` nodes; from two on, half of them in a second datacenter.
plan::Plan plan_of(const job::Job& job, const Layout& layout);

/// Rounds that `small_job` takes: training and evaluation.
inline constexpr std::uint64_t kSteps = 6;
inline constexpr std::uint64_t kEvaluations = 2;
inline constexpr std::uint64_t kRounds = kSteps + kEvaluations;

/// The seed of the simulated network: ATOLL_SIM_SEED, or 1. It is printed, so that a run can be had
/// again.
std::uint64_t network_seed();

}  // namespace reef::simulation
