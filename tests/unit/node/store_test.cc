#include "scheduler/service/store.h"

#include "runtime/base/file.h"
#include "tests/unit/scratch_folder.h"

namespace reef::service {
namespace {

TEST(Store, NumbersJobsAndRemembersWhatBecomesOfThem) {
  const auto store = Store::open(":memory:").value();
  const std::int64_t first = store->add_job("first", "{}", "runs/first").value();
  const std::int64_t second = store->add_job("it's; DROP TABLE jobs", "{}", "runs/b").value();
  EXPECT_NE(first, second);
  ASSERT_TRUE(store->set_job(first, "running", "", 7).ok());
  ASSERT_TRUE(store->set_job(second, "failed", "no machine", 0).ok());
  const auto jobs = store->jobs().value();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, first);
  EXPECT_EQ(jobs[0].name, "first");
  EXPECT_EQ(jobs[0].state, "running");
  EXPECT_EQ(jobs[0].step, 7u);
  EXPECT_EQ(jobs[0].run_folder, "runs/first");
  EXPECT_EQ(jobs[1].name, "it's; DROP TABLE jobs");
  EXPECT_EQ(jobs[1].reason, "no machine");
}

TEST(Store, ANewJobWaits) {
  const auto store = Store::open(":memory:").value();
  ASSERT_TRUE(store->add_job("new", "{}", "runs/new").ok());
  EXPECT_EQ(store->jobs().value().at(0).state, "waiting");
  EXPECT_EQ(store->jobs().value().at(0).epoch, 0u);
}

TEST(Store, EpochsOnlyGrow) {
  const auto store = Store::open(":memory:").value();
  const std::int64_t a = store->add_job("a", "{}", "a").value();
  const std::int64_t b = store->add_job("b", "{}", "b").value();
  std::uint64_t last = 0;
  for (const std::int64_t job : {a, b, a, a, b}) {
    const std::uint64_t epoch = store->next_epoch(job).value();
    EXPECT_GT(epoch, last);
    last = epoch;
  }
  EXPECT_EQ(store->jobs().value().at(1).epoch, last);
}

TEST(Store, SurvivesReopening) {
  const ScratchFolder folder;
  const auto path = folder / "scheduler.db";
  std::uint64_t epoch = 0;
  {
    const auto store = Store::open(path).value();
    const std::int64_t job = store->add_job("kept", "{\"a\": 1}", "runs/kept").value();
    epoch = store->next_epoch(job).value();
    ASSERT_TRUE(store->set_job(job, "running", "why", 42).ok());
    ASSERT_TRUE(store->add_node("node-0", "here", "127.0.0.1").ok());
    ASSERT_TRUE(store->add_node("node-0", "there", "127.0.0.2").ok());
  }
  const auto store = Store::open(path).value();
  const auto jobs = store->jobs().value();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].name, "kept");
  EXPECT_EQ(jobs[0].state, "running");
  EXPECT_EQ(jobs[0].reason, "why");
  EXPECT_EQ(jobs[0].step, 42u);
  EXPECT_EQ(jobs[0].epoch, epoch);
  EXPECT_GT(store->next_epoch(jobs[0].id).value(), epoch);
}

TEST(Store, SaysWhyItCannotOpen) {
  const ScratchFolder folder;
  EXPECT_FALSE(Store::open(folder / "no" / "such" / "folder.db").ok());
  const auto path = folder / "not-a-database";
  ASSERT_TRUE(write_file(path, as_bytes(std::string(5000, 'x'))).ok());
  const auto store = Store::open(path);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, Code::kIo);
}

}  // namespace
}  // namespace reef::service
