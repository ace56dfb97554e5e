#include "runtime/app/job_search.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/scheduler/samples.h"

namespace reef::app {
namespace {

/// Two replicas of one stage on two nodes; 8 leaves of 2 sequences.
job::Job two_replicas() { return sample_job(2, 1); }

MeasureStep taking(std::function<double(const job::Job&)> seconds) {
  return [seconds = std::move(seconds)](const job::Job& job) -> Result<double> {
    return seconds(job);
  };
}

TEST(JobSearch, KeepsTheGlobalBatchAndALeafForEachReplica) {
  const auto found =
      search(two_replicas(), sample_topology(2), 2, taking([](const auto&) { return 1.0; }))
          .value();
  std::vector<std::uint32_t> leaves;
  for (const TriedJob& tried : found.micro_batches) {
    leaves.push_back(tried.job.training.leaves);
    EXPECT_EQ(tried.job.training.leaves * tried.job.training.sequences_per_leaf, 16u);
    EXPECT_GT(tried.memory, 0u);
    EXPECT_LE(tried.memory, tried.limit);
  }
  EXPECT_EQ(leaves, (std::vector<std::uint32_t>{16, 8, 4, 2}));
  EXPECT_EQ(found.loaders.size(), 3u * 2u);
}

TEST(JobSearch, TakesTheFastestMicroBatch) {
  const auto found =
      search(two_replicas(), sample_topology(2), 1,
             taking([](const auto& job) { return job.training.leaves == 4 ? 0.5 : 1.0; }))
          .value();
  EXPECT_EQ(found.job.training.leaves, 4u);
  EXPECT_EQ(found.job.training.sequences_per_leaf, 4u);
}

TEST(JobSearch, LeavesTheDescriptorWhenLittleIsToBeGained) {
  const auto found =
      search(two_replicas(), sample_topology(2), 1,
             taking([](const auto& job) { return job.training.leaves == 4 ? 0.97 : 1.0; }))
          .value();
  EXPECT_EQ(found.job.training.leaves, 8u);
}

TEST(JobSearch, TakesTheLeastOfMeasurementsInTurn) {
  // The machine is slow for the first round; in each, the trials come in the same order.
  std::vector<std::uint32_t> order;
  const auto found =
      search(two_replicas(), sample_topology(2), 1, taking([&order](const job::Job& job) {
               order.push_back(job.training.leaves);
               const double load = order.size() <= 4 ? 3.0 : 1.0;
               return load * (job.training.leaves == 2 ? 0.5 : 1.0);
             }))
          .value();
  EXPECT_EQ(std::vector(order.begin(), order.begin() + 8),
            (std::vector<std::uint32_t>{16, 8, 4, 2, 16, 8, 4, 2}));
  EXPECT_EQ(found.micro_batches[0].seconds, 1.0);
  EXPECT_EQ(found.job.training.leaves, 2u);
}

TEST(JobSearch, DoesNotTryWhatDoesNotFit) {
  // Room for the model with micro-batches of up to 2 sequences.
  const auto roomy =
      search(two_replicas(), sample_topology(2), 1, taking([](const auto&) { return 1.0; }))
          .value();
  const std::uint64_t room = roomy.micro_batches[1].memory;
  ASSERT_GT(roomy.micro_batches[2].memory, room);
  const auto found =
      search(two_replicas(), sample_topology(2, room), 1, taking([](const auto& job) {
               EXPECT_LE(job.training.sequences_per_leaf, 2u);
               return 1.0 / job.training.sequences_per_leaf;
             }))
          .value();
  EXPECT_TRUE(found.micro_batches[1].seconds.has_value());
  EXPECT_FALSE(found.micro_batches[2].seconds.has_value());
  EXPECT_NE(found.micro_batches[2].obstacle.find("short by"), std::string::npos);
  EXPECT_EQ(found.job.training.sequences_per_leaf, 2u);
  EXPECT_NE(text_of(found).find("does not fit"), std::string::npos);
}

TEST(JobSearch, SaysSoWhenNothingFits) {
  const auto found =
      search(two_replicas(), sample_topology(2, 1000), 1, taking([](const auto&) { return 1.0; }));
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, Code::kNoFit);
}

TEST(JobSearch, ReadsAheadNoFurtherThanHelps) {
  // A loader that is hidden from four slots on, whatever its workers.
  const auto found =
      search(two_replicas(), sample_topology(2), 4,
             taking([](const auto& job) { return job.data.prefetch == 2 ? 1.3 : 1.0; }))
          .value();
  EXPECT_EQ(found.job.data.prefetch, 4u);
  EXPECT_EQ(found.job.data.workers, 1u);
  const auto slow = search(two_replicas(), sample_topology(2), 4,
                           taking([](const auto& job) { return 1.0 + 1.0 / job.data.workers; }))
                        .value();
  EXPECT_EQ(slow.job.data.prefetch, 2u);
  EXPECT_EQ(slow.job.data.workers, 4u);
}

TEST(JobSearch, PrintsTheLinesForTheDescriptor) {
  const auto found = search(two_replicas(), sample_topology(2), 1, taking([](const auto& job) {
                              return (job.training.leaves == 4 ? 0.5 : 1.0) +
                                     1.0 / (job.data.prefetch == 4 ? 4 : 1);
                            }))
                         .value();
  const std::string text = text_of(found);
  EXPECT_NE(text.find("  data:\n    prefetch: 4\n    workers: 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("    leaves: 4\n    sequencesPerLeaf: 4\n"), std::string::npos) << text;
}

TEST(JobSearch, PassesTheTrialsFailureOn) {
  const auto found =
      search(two_replicas(), sample_topology(2), 1, [](const job::Job&) -> Result<double> {
        return Error{Code::kData, "train", "is gone"};
      });
  EXPECT_EQ(found.error().code, Code::kData);
}

}  // namespace
}  // namespace reef::app
