#include "runtime/app/job_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/base/units.h"
#include "scheduler/plan/make_plan.h"
#include "scheduler/plan/memory.h"

namespace reef::app {
namespace {

/// Not 1: it saves the bytes of one micro-batch's tokens, and reading would wait for the model.
/// That this costs little on data which is in memory already, as in a trial, says nothing of a cold
/// disk.
constexpr std::uint32_t kPrefetches[] = {2, 4, 8};

/// The job with other leaves and the same global batch, from one sequence a leaf to one leaf a
/// replica; only these leaves where the job deals them out itself.
std::vector<job::Job> micro_batches(const job::Job& job) {
  const std::uint64_t batch = std::uint64_t{job.training.leaves} * job.training.sequences_per_leaf;
  std::vector<job::Job> jobs;
  for (std::uint64_t leaves = batch & -batch; leaves >= job.parallelism.dp; leaves /= 2) {
    if (!job.parallelism.micro_batches.empty() && leaves != job.training.leaves) continue;
    jobs.push_back(job);
    jobs.back().training.leaves = static_cast<std::uint32_t>(leaves);
    jobs.back().training.sequences_per_leaf = static_cast<std::uint32_t>(batch / leaves);
    if (leaves == 1) break;
  }
  return jobs;
}

std::vector<job::Job> loaders(const job::Job& job, std::uint32_t workers) {
  std::vector<job::Job> jobs;
  for (const std::uint32_t prefetch : kPrefetches) {
    for (std::uint32_t count = 1; count <= workers; count *= 2) {
      jobs.push_back(job);
      jobs.back().data.prefetch = prefetch;
      jobs.back().data.workers = count;
    }
  }
  return jobs;
}

/// The fullest node of a plan.
void note_memory(const plan::Plan& plan, TriedJob& tried) {
  const auto memory = plan::memory_of(plan);
  double fullest = -1;
  for (std::size_t node = 0; node < memory.size(); ++node) {
    const double part =
        static_cast<double>(memory[node]) / static_cast<double>(plan.nodes[node].memory);
    if (part <= fullest) continue;
    fullest = part;
    tried.memory = memory[node];
    tried.limit = plan.nodes[node].memory;
  }
}

Result<std::vector<TriedJob>> attempt(const std::vector<job::Job>& jobs,
                                      const topology::Topology& topology,
                                      const MeasureStep& measure) {
  std::vector<TriedJob> all(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    all[i].job = jobs[i];
    const auto plan = plan::make_plan(jobs[i], topology);
    if (plan.ok()) {
      note_memory(*plan, all[i]);
    } else if (plan.error().code == Code::kNoFit) {
      all[i].obstacle = plan.error().what;
    } else {
      return plan.error();
    }
  }
  for (int round = 0; round < kSearchRounds; ++round) {
    for (TriedJob& tried : all) {
      if (!tried.obstacle.empty()) continue;
      ATOLL_ASSIGN(const double seconds, measure(tried.job));
      tried.seconds = std::min(tried.seconds.value_or(seconds), seconds);
    }
  }
  return all;
}

bool same_setting(const job::Job& a, const job::Job& b) {
  return a.training == b.training && a.data == b.data;
}

/// The fastest, or `present` when that is hardly slower; kNoFit when nothing fits.
Result<job::Job> fastest(const std::vector<TriedJob>& all, const job::Job& present) {
  const TriedJob* best = nullptr;
  const TriedJob* stays = nullptr;
  for (const TriedJob& tried : all) {
    if (!tried.seconds) continue;
    if (best == nullptr || *tried.seconds < *best->seconds) best = &tried;
    if (same_setting(tried.job, present)) stays = &tried;
  }
  if (best == nullptr) return Error{Code::kNoFit, present.name, all.front().obstacle};
  if (stays != nullptr && *best->seconds > kWorthOtherLeaves * *stays->seconds) return stays->job;
  return best->job;
}

/// The least prefetch, then the fewest workers, that are hardly slower than the fastest.
job::Job leanest(const std::vector<TriedJob>& all, const job::Job& fallback) {
  double best = std::numeric_limits<double>::infinity();
  for (const TriedJob& tried : all) best = std::min(best, tried.seconds.value_or(best));
  for (const TriedJob& tried : all) {
    if (tried.seconds && *tried.seconds <= kAlike * best) return tried.job;
  }
  return fallback;
}

std::string line_of(const TriedJob& tried, const std::string& setting) {
  if (!tried.seconds) return fmt::format("{}  does not fit: {}\n", setting, tried.obstacle);
  const job::Training& training = tried.job.training;
  const double tokens =
      static_cast<double>(training.leaves) * training.sequences_per_leaf * training.context;
  return fmt::format("{}  {:9.4f} s  {:9.0f}  {} of {}\n", setting, *tried.seconds,
                     tokens / *tried.seconds, format_size(tried.memory), format_size(tried.limit));
}

}  // namespace

Result<Proposal> search(const job::Job& job, const topology::Topology& topology,
                        std::uint32_t workers, const MeasureStep& measure) {
  Proposal proposal;
  ATOLL_ASSIGN(proposal.micro_batches, attempt(micro_batches(job), topology, measure));
  ATOLL_ASSIGN(const job::Job chosen, fastest(proposal.micro_batches, job));
  ATOLL_ASSIGN(proposal.loaders, attempt(loaders(chosen, workers), topology, measure));
  proposal.job = leanest(proposal.loaders, chosen);
  return proposal;
}

std::string text_of(const Proposal& proposal) {
  std::string text = "leaves  sequencesPerLeaf         step   tokens/s  fullest node\n";
  for (const TriedJob& tried : proposal.micro_batches) {
    const job::Training& training = tried.job.training;
    text +=
        line_of(tried, fmt::format("{:6}  {:16}", training.leaves, training.sequences_per_leaf));
  }
  text += "\nprefetch           workers         step   tokens/s  fullest node\n";
  for (const TriedJob& tried : proposal.loaders) {
    text +=
        line_of(tried, fmt::format("{:8}  {:16}", tried.job.data.prefetch, tried.job.data.workers));
  }
  const job::Job& job = proposal.job;
  return text + fmt::format(
                    "\nfor the descriptor, under spec:\n"
                    "  data:\n    prefetch: {}\n    workers: {}\n"
                    "  training:\n    leaves: {}\n    sequencesPerLeaf: {}\n",
                    job.data.prefetch, job.data.workers, job.training.leaves,
                    job.training.sequences_per_leaf);
}

}  // namespace reef::app
