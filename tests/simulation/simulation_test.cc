#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "actors/checkpoint/format/checkpoint.h"
#include "actors/data/batch_reader.h"
#include "ops/cpu/thread_pool.h"
#include "ops/nn/trainer.h"
#include "simulated_cluster.h"
#include "workload.h"

namespace reef::simulation {
namespace {

/// What must be equal bit for bit.
struct Figures {
  std::uint64_t round = 0;
  std::uint64_t step = 0;
  std::uint64_t loss = 0;
  std::uint64_t gradient_norm = 0;
  std::uint64_t evaluation_loss = 0;
  std::uint64_t tokens = 0;
  auto operator<=>(const Figures&) const = default;
};

std::vector<Figures> figures(const Record& record) {
  std::vector<Figures> all;
  for (const node::Progress& progress : record.progress) {
    all.push_back({progress.round.number, progress.round.step,
                   std::bit_cast<std::uint64_t>(progress.loss),
                   std::bit_cast<std::uint64_t>(progress.gradient_norm),
                   std::bit_cast<std::uint64_t>(progress.evaluation_loss), progress.tokens});
  }
  return all;
}

/// Every tensor of a checkpoint, by name.
std::map<std::string, std::string> tensors_of(const std::string& folder) {
  std::map<std::string, std::string> tensors;
  const auto checkpoint = checkpoint::Checkpoint::open(folder);
  EXPECT_TRUE(checkpoint.ok()) << (checkpoint.ok() ? "" : checkpoint.error().text());
  if (!checkpoint.ok()) return tensors;
  for (const std::string& name : checkpoint->names())
    tensors[name] = as_text(checkpoint->find(name)->bytes);
  return tensors;
}

/// Restless, so that the network's seed decides who is first.
link::sim::Line restless_line() {
  link::sim::Line line;
  line.delay = std::chrono::milliseconds(5);
  line.jitter = std::chrono::milliseconds(3);
  line.bits_per_second = 100e6;
  line.loss = 0.01;
  return line;
}

class Simulation : public testing::Test {
 protected:
  void SetUp() override {
    seed_ = network_seed();
    prepare_text(folder_);
  }

  plan::Plan plan(const Layout& layout) const {
    return plan_of(small_job(folder_, layout), layout);
  }

  std::unique_ptr<SimulatedCluster> begin(const plan::Plan& plan, std::uint64_t seed,
                                          const std::string& run) const {
    auto cluster = std::make_unique<SimulatedCluster>(plan, seed, folder_ / run, restless_line());
    const Status status = cluster->begin();
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
    return cluster;
  }

  Record run(const plan::Plan& plan, std::uint64_t seed, const std::string& name) const {
    const auto cluster = begin(plan, seed, name);
    cluster->run();
    return cluster->record();
  }

  /// As the scheduler does it: all go on to one step more than any has begun. Returns that step.
  static std::uint64_t end_early(SimulatedCluster& cluster, const plan::Plan& plan,
                                 std::uint64_t steps) {
    cluster.hold();
    cluster.run();
    std::set<std::string> loaders;
    std::uint64_t begun = 0;
    for (const auto& [loader, step] : cluster.record().held) {
      loaders.insert(loader);
      begun = std::max(begun, step);
    }
    EXPECT_EQ(cluster.record().held.size(), plan.replicas);
    EXPECT_EQ(loaders.size(), plan.replicas);
    const std::uint64_t last = std::min(begun + 1, steps);
    cluster.release(last);
    cluster.run();
    return last;
  }

  ScratchFolder folder_;
  std::uint64_t seed_ = 0;
};

void expect_complete(const Record& record) {
  EXPECT_THAT(record.failures, testing::IsEmpty());
  ASSERT_EQ(record.progress.size(), kRounds);
  for (std::uint64_t i = 0; i < kRounds; ++i) EXPECT_EQ(record.progress[i].round.number, i);
  EXPECT_TRUE(record.progress.back().round.last);
  EXPECT_TRUE(record.progress.back().evaluated);
  ASSERT_EQ(record.checkpoints.size(), 1u);
  EXPECT_EQ(record.checkpoints[0].first, kSteps);
}

/// Firings beside those of the rounds: what carries an edge between nodes carries its first tokens
/// too.
std::uint64_t extra_firings(const plan::Plan& plan, const plan::Actor& actor) {
  if (actor.kind == plan::ActorKind::kSend) return plan.edges[actor.acts[0].inputs[0].edge].initial;
  if (actor.kind != plan::ActorKind::kReceive) return 0;
  const plan::Edge& wire = plan.edges[actor.acts[0].inputs[0].edge];
  return extra_firings(plan, plan.actors[wire.producer]);
}

/// Each act fired as often as `rounds` rounds take, in order.
void expect_fired_as_planned(const plan::Plan& plan, const Record& record, std::uint64_t rounds) {
  std::map<std::pair<std::string, std::string>, std::uint64_t> fired;
  for (const TraceLine& line : record.trace) {
    EXPECT_EQ(line.firing, (fired[{line.actor, line.act}]++)) << line.actor << " " << line.act;
  }
  for (const plan::Actor& actor : plan.actors) {
    for (const plan::Act& act : actor.acts) {
      EXPECT_EQ((fired[{actor.name, act.name}]), act.firings * rounds + extra_firings(plan, actor))
          << actor.name << " " << act.name;
    }
  }
}

TEST_F(Simulation, SameSeedSameTrace) {
  const plan::Plan four = plan({4, 2, 2});
  const Record first = run(four, seed_, "first");
  const Record second = run(four, seed_, "second");
  expect_complete(first);
  EXPECT_FALSE(first.trace.empty());
  EXPECT_TRUE(first.trace == second.trace);
  EXPECT_EQ(figures(first), figures(second));
}

TEST_F(Simulation, AnotherSeedOfTheNetworkChangesTheTraceButNotTheLosses) {
  const plan::Plan four = plan({4, 2, 2});
  const Record first = run(four, seed_, "first");
  const Record second = run(four, seed_ + 1, "second");
  EXPECT_FALSE(first.trace == second.trace);
  EXPECT_EQ(figures(first), figures(second));
}

/// Of one leaf a step and without clipping, what the library's plain loop does.
std::vector<double> losses_of_the_trainer(const job::Job& job) {
  const auto reader = actors::BatchReader::open(job).value();
  ops::ThreadPool context(1);
  nn::Trainer trainer(context, job.model, job.training.precision, job.training.seed);
  std::vector<double> losses;
  Round round;
  for (round.step = 1; round.step <= job.training.steps; ++round.step) {
    const auto batch = reader.read(context, context.pool(), round, 0).value();
    losses.push_back(trainer.differentiate(batch.tokens, batch.targets, round.step));
    const job::Optimizer& optimizer = job.optimizer;
    trainer.update(
        {.lr = static_cast<float>(job::learning_rate(optimizer, round.step, job.training.steps)),
         .beta1 = static_cast<float>(optimizer.beta1),
         .beta2 = static_cast<float>(optimizer.beta2),
         .epsilon = static_cast<float>(optimizer.epsilon),
         .weight_decay = static_cast<float>(optimizer.weight_decay),
         .step = static_cast<std::int64_t>(round.step)});
  }
  return losses;
}

class InPrecision : public Simulation, public testing::WithParamInterface<nn::Precision> {
 protected:
  plan::Plan plan(const Layout& layout) const { return plan_of(job(layout), layout); }
  job::Job job(const Layout& layout) const {
    job::Job job = small_job(folder_, layout);
    job.training.precision = GetParam();
    return job;
  }
};

TEST_P(InPrecision, LossesAreThoseOfTheTrainer) {
  for (const Layout& layout : {Layout{1, 1, 1}, Layout{2, 1, 2}, Layout{4, 1, 4}}) {
    SCOPED_TRACE(name_of(layout));
    job::Job job = this->job(layout);
    job.training.leaves = 1;
    job.training.sequences_per_leaf = 4;
    job.optimizer.clip_norm = 0;
    const Record record = run(plan_of(job, layout), seed_, name_of(layout));
    const std::vector<double> expected = losses_of_the_trainer(job);
    ASSERT_GE(record.progress.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(record.progress[i].loss, expected[i]) << "step " << i + 1;
    }
  }
}

TEST_P(InPrecision, LossesDoNotDependOnLayout) {
  const Layout layouts[] = {{1, 2, 1}, {1, 4, 1}, {1, 1, 2}, {1, 2, 2}, {2, 2, 1}, {2, 1, 2},
                            {2, 2, 2}, {2, 4, 1}, {4, 4, 1}, {4, 2, 2}, {4, 4, 2}};
  const Record alone = run(plan({1, 1, 1}), seed_, "alone");
  expect_complete(alone);
  const auto weights = tensors_of(alone.checkpoints.at(0).second);
  EXPECT_FALSE(weights.empty());
  for (const Layout& layout : layouts) {
    SCOPED_TRACE(name_of(layout));
    const plan::Plan spread = plan(layout);
    EXPECT_TRUE(spread.reproducible);
    const Record record = run(spread, seed_, name_of(layout));
    expect_complete(record);
    EXPECT_EQ(figures(record), figures(alone));
    ASSERT_EQ(record.checkpoints.size(), 1u);
    EXPECT_TRUE(tensors_of(record.checkpoints[0].second) == weights);
  }
}

INSTANTIATE_TEST_SUITE_P(Simulation, InPrecision,
                         testing::Values(nn::Precision::kF32, nn::Precision::kBF16),
                         [](const auto& info) { return std::string(nn::name_of(info.param)); });

TEST_F(Simulation, AllCreditComesHome) {
  for (const Layout& layout :
       {Layout{1, 1, 1}, Layout{2, 2, 1}, Layout{2, 1, 2}, Layout{4, 2, 2}}) {
    SCOPED_TRACE(name_of(layout));
    const plan::Plan spread = plan(layout);
    const Record record = run(spread, seed_, name_of(layout));
    expect_complete(record);
    expect_fired_as_planned(spread, record, kRounds);
  }
}

TEST_F(Simulation, UnequalMicroBatchesGiveTheSameBitsEachTimeAndNearlyThoseOfOneDevice) {
  const Record alone = run(plan({1, 1, 1}), seed_, "alone");
  const Layout layout{4, 2, 2};
  for (const std::uint32_t zero : {0u, 1u}) {
    const std::string suffix = "-zero-" + std::to_string(zero);
    SCOPED_TRACE(suffix);
    job::Job job = small_job(folder_, layout);
    job.parallelism.micro_batches = {3, 1};
    job.parallelism.zero_stage = zero;
    const plan::Plan uneven = plan_of(job, layout);
    EXPECT_FALSE(uneven.reproducible);
    const Record first = run(uneven, seed_, "first" + suffix);
    const Record second = run(uneven, seed_ + 1, "second" + suffix);
    expect_complete(first);
    // All-gathers hand on the first weights, too.
    if (zero == 0) expect_fired_as_planned(uneven, first, kRounds);
    EXPECT_EQ(figures(first), figures(second));
    EXPECT_EQ(first.progress[0].loss, alone.progress[0].loss);  // of the same leaves
    for (std::uint64_t i = 0; i < kRounds; ++i) {
      EXPECT_NEAR(first.progress[i].loss, alone.progress[i].loss, 1e-5 * alone.progress[i].loss);
      EXPECT_EQ(first.progress[i].tokens, alone.progress[i].tokens);
    }
  }
}

TEST_F(Simulation, RoundingCodecsFinishToo) {
  const Layout layout{4, 2, 2};
  for (const char* codec : {"bf16+zstd", "fp8", "int8+zstd"}) {
    SCOPED_TRACE(codec);
    job::Job job = small_job(folder_, layout);
    job.codecs = {codec, codec, "none+zstd"};
    const plan::Plan rounding = plan_of(job, layout);
    EXPECT_FALSE(rounding.reproducible);
    const Record first = run(rounding, seed_, std::string("first-") + codec);
    const Record second = run(rounding, seed_ + 1, std::string("second-") + codec);
    expect_complete(first);
    expect_fired_as_planned(rounding, first, kRounds);
    EXPECT_EQ(figures(first), figures(second));
  }
}

TEST_F(Simulation, ACutLineStopsProgressWithoutDamage) {
  const plan::Plan four = plan({4, 2, 2});
  const Record undisturbed = run(four, seed_, "undisturbed");
  const auto cluster = begin(four, seed_, "disturbed");
  ASSERT_TRUE(cluster->run_to_round(2));
  cluster->partition();
  cluster->run();
  EXPECT_LT(cluster->record().progress.size(), kRounds);
  EXPECT_THAT(cluster->record().failures, testing::IsEmpty());
  cluster->heal();
  cluster->run();
  expect_complete(cluster->record());  // no round twice, none left out
  EXPECT_EQ(figures(cluster->record()), figures(undisturbed));
}

TEST_F(Simulation, ABrokenLineIsReportedAndNothingElseHappens) {
  const plan::Plan two = plan({2, 2, 1});
  const auto cluster = begin(two, seed_, "broken");
  ASSERT_TRUE(cluster->run_to_round(2));
  cluster->cut();
  cluster->run();
  const Record& record = cluster->record();
  EXPECT_LT(record.progress.size(), kRounds);
  EXPECT_THAT(record.checkpoints, testing::IsEmpty());
  EXPECT_EQ(record.failures.size(), 2u);  // one of each end
  for (const std::string& failure : record.failures)
    EXPECT_THAT(failure, testing::HasSubstr("E_PEER_LOST"));
}

TEST_F(Simulation, HoldAndReleaseEndsAtOneStep) {
  const Layout layout{4, 4, 1};
  job::Job job = small_job(folder_, layout);
  job.training.steps = 4 * kSteps;
  const plan::Plan four = plan_of(job, layout);
  const Record whole = run(four, seed_, "whole");
  const auto cluster = begin(four, seed_, "held");
  ASSERT_TRUE(cluster->run_to_round(2));
  const std::uint64_t last = end_early(*cluster, four, job.training.steps);
  const Record& record = cluster->record();
  ASSERT_LT(last, job.training.steps);
  EXPECT_THAT(record.failures, testing::IsEmpty());
  ASSERT_EQ(record.progress.size(), last + kEvaluations);
  EXPECT_TRUE(record.progress.back().round.last);
  EXPECT_TRUE(record.progress.back().evaluated);
  EXPECT_EQ(record.progress.back().round.step, last);
  ASSERT_EQ(record.checkpoints.size(), 1u);
  EXPECT_EQ(record.checkpoints[0].first, last);
  expect_fired_as_planned(four, record, last + kEvaluations);
  const auto expected = figures(whole), ended = figures(record);
  for (std::uint64_t i = 0; i < last; ++i) EXPECT_EQ(ended[i], expected[i]) << i;
}

TEST_F(Simulation, HoldAndReleaseEndsAtOneStepAtAnyMoment) {
  const Layout layout{4, 2, 2};
  job::Job job = small_job(folder_, layout);
  job.training.steps = 10;
  job.evaluation = {3, kEvaluations};
  job.checkpoints.every = 4;
  const plan::Plan four = plan_of(job, layout);
  for (std::size_t events = 0; events < 6000; events += 300) {
    SCOPED_TRACE(testing::Message() << "held after " << events << " events");
    const auto cluster = begin(four, seed_, "held-" + std::to_string(events));
    for (std::size_t i = 0; i < events && cluster->step(); ++i) {
    }
    const std::uint64_t last = end_early(*cluster, four, job.training.steps);
    const Record& record = cluster->record();
    EXPECT_THAT(record.failures, testing::IsEmpty());
    ASSERT_FALSE(record.progress.empty());
    for (std::size_t i = 0; i < record.progress.size(); ++i)
      EXPECT_EQ(record.progress[i].round.number, i);
    EXPECT_TRUE(record.progress.back().round.last);
    EXPECT_TRUE(record.progress.back().evaluated);
    EXPECT_EQ(record.progress.back().round.step, last);
    ASSERT_FALSE(record.checkpoints.empty());
    EXPECT_EQ(record.checkpoints.back().first, last);
    expect_fired_as_planned(four, record, record.progress.size());
  }
}

}  // namespace
}  // namespace reef::simulation
