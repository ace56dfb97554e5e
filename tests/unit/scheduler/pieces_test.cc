#include "scheduler/plan/pieces.h"

#include <algorithm>
#include <numeric>
#include <sstream>

#include "samples.h"
#include "scheduler/plan/leaf_order.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/print.h"

namespace reef::plan {
namespace {

/// A model of these parameters, one layer each.
nn::ModelSpec model_of(const std::vector<std::pair<std::string, std::int64_t>>& parameters) {
  nn::ModelSpec spec;
  for (const auto& [name, elements] : parameters) {
    nn::Layer layer;
    layer.parameters.push_back({name, {elements}, nn::Init::zeros(), false, ops::DType::kF32});
    spec.layers.push_back(layer);
  }
  return spec;
}

TEST(Pieces, AreDealtInTheOrderOfNamesAsRunsOfAboutAsMuch) {
  constexpr std::int64_t kPiece = kPieceElements;
  const nn::ModelSpec spec = model_of({{"c", 5 * kPiece + 7}, {"a", 3 * kPiece}, {"b", 40}});
  const LayerRange all{0, 3};
  const Deal deal(spec, std::span(&all, 1), 4);
  EXPECT_EQ(deal.of_layers(all), (std::vector<Slice>{{"a", 0, 2 * kPiece, 0},
                                                     {"a", 2 * kPiece, kPiece, 1},
                                                     {"b", 0, 40, 1},
                                                     {"c", 0, kPiece, 1},
                                                     {"c", kPiece, 2 * kPiece, 2},
                                                     {"c", 3 * kPiece, 2 * kPiece + 7, 3}}));
  EXPECT_EQ(deal.owned(all, 1).size(), 3u);
  EXPECT_EQ(pieces_in(deal.of("c").back()), 3);
  EXPECT_TRUE(deal.of("d").empty());
}

TEST(Pieces, OfEachStageAreDealtApart) {
  const nn::ModelSpec spec = model_of({{"a", 10}, {"b", 10}, {"c", 10}, {"d", 10}});
  const LayerRange stages[] = {{0, 2}, {2, 4}};
  const Deal deal(spec, stages, 2);
  for (const char* name : {"a", "c"}) EXPECT_EQ(deal.of(name)[0].owner, 0u) << name;
  for (const char* name : {"b", "d"}) EXPECT_EQ(deal.of(name)[0].owner, 1u) << name;
}

TEST(Pieces, OfBucketsComeOutEvenInTheStage) {
  nn::ModelSpec spec;
  for (int i = 0; i < 8; ++i) {
    nn::Layer& layer = spec.layers.emplace_back();
    const std::string name(1, static_cast<char>('a' + i));
    for (const auto& [suffix, elements] : {std::pair(".big", 3 * kPieceElements), {".small", 7}})
      layer.parameters.push_back(
          {name + suffix, {elements}, nn::Init::zeros(), false, ops::DType::kF32});
  }
  std::vector<std::uint32_t> cuts{1, 2, 3, 4, 5, 6, 7};
  const Buckets stage({0, 8}, cuts);
  const Deal deal(spec, std::span(&stage, 1), 2);
  std::int64_t owned[2] = {};
  for (std::uint32_t b = 0; b < stage.count(); ++b) {
    for (const Slice& slice : deal.of_layers(stage.layers(b))) owned[slice.owner] += slice.count;
    for (const std::uint32_t owner : {0u, 1u})
      EXPECT_FALSE(deal.owned(stage.layers(b), owner).empty());
  }
  EXPECT_LE(std::abs(owned[0] - owned[1]), kPieceElements);
}

TEST(Pieces, AreOfOneOwnerWithoutSharing) {
  const nn::ModelSpec spec = model_of({{"a", 3 * kPieceElements}, {"b", 1}});
  const LayerRange all{0, 2};
  const Deal deal(spec, std::span(&all, 1), 1);
  for (const std::uint32_t replica : {0u, 3u}) {
    EXPECT_EQ(deal.owned(all, replica),
              (std::vector<Slice>{{"a", 0, 3 * kPieceElements, 0}, {"b", 0, 1, 0}}));
  }
}

TEST(Pieces, HaveOneOwnerThoughStagesOverlap) {
  const nn::ModelSpec spec = model_of({{"a", 10}, {"b", 10}});
  const LayerRange stages[] = {{0, 2}, {0, 2}, {1, 2}};
  const Deal deal(spec, stages, 2);
  for (const char* name : {"a", "b"}) {
    ASSERT_EQ(deal.of(name).size(), 1u);
    EXPECT_EQ(deal.of(name)[0].count, 10);
  }
}

TEST(Pieces, MayBeFewerThanOwners) {
  const nn::ModelSpec spec = model_of({{"a", 9}});
  const LayerRange beyond{0, 99};  // a plan of a peer may say so
  const Deal deal(spec, std::span(&beyond, 1), 8);
  std::size_t owned = 0;
  for (std::uint32_t replica = 0; replica < 8; ++replica)
    owned += deal.owned(beyond, replica).size();
  EXPECT_EQ(owned, 1u);
}

TEST(Pieces, HalveWithEachExchange) {
  for (std::uint32_t replica = 0; replica < 8; ++replica) {
    for (std::uint32_t exchanges = 0; exchanges <= 3; ++exchanges) {
      std::uint32_t held = 0;
      for (std::uint32_t owner = 0; owner < 8; ++owner) {
        const Slice slice{"a", 0, 1, owner};
        if (!holds(replica, slice, exchanges)) continue;
        ++held;
        if (exchanges < 3) {
          const std::uint32_t partner = replica ^ (1u << exchanges);
          EXPECT_NE(holds(replica, slice, exchanges + 1), holds(partner, slice, exchanges + 1));
        }
      }
      EXPECT_EQ(held, 8u >> exchanges);
    }
    EXPECT_TRUE(holds(replica, {"a", 0, 1, replica}, 3));
  }
}

job::Job sharded_job(std::uint32_t replicas, std::uint32_t stages, std::uint32_t zero_stage = 1) {
  job::Job job = sample_job(replicas, stages);
  job.parallelism.zero_stage = zero_stage;
  return job;
}

Plan sharded_plan(std::uint32_t replicas, std::uint32_t stages, std::uint32_t nodes,
                  std::uint32_t zero_stage = 1) {
  auto plan = make_plan(sharded_job(replicas, stages, zero_stage), sample_topology(nodes));
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().text());
  return plan.ok() ? *plan : Plan{};
}

TEST(ShardedPlan, IsValidAndLiveOnEveryLayout) {  // make_plan() proves both
  for (const std::uint32_t replicas : {2, 4, 8}) {
    for (const std::uint32_t stages : {1, 2, 4}) {
      for (const std::uint32_t nodes : {1, 2, 4}) {
        if (replicas * stages < nodes) continue;
        for (const std::uint32_t zero_stage : {1, 2, 3}) {
          SCOPED_TRACE(testing::Message() << replicas << " x " << stages << " on " << nodes
                                          << ", ZeRO stage " << zero_stage);
          const Plan plan = sharded_plan(replicas, stages, nodes, zero_stage);
          EXPECT_TRUE(is_sharded(plan));
          EXPECT_EQ(sums_each_micro_batch(plan), zero_stage >= 2 && replicas < 8);
          EXPECT_EQ(plan.shares_weights, zero_stage == 3);
          EXPECT_TRUE(plan.reproducible);
        }
      }
    }
  }
}

TEST(ShardedPlan, SharesGradientsOutInEverySchedule) {
  for (const char* schedule : {"zero-bubble", "interleaved:2"}) {
    job::Job job = sharded_job(2, 2, 2);
    job.parallelism.schedule = job::parse_schedule(schedule).value();
    const auto plan = make_plan(job, sample_topology(4));
    ASSERT_TRUE(plan.ok()) << plan.error().text();
    EXPECT_TRUE(sums_each_micro_batch(*plan));
  }
}

TEST(ShardedPlan, IsAnotherOnlyWithSeveralReplicas) {
  const Plan plan = sharded_plan(1, 2, 2);
  EXPECT_FALSE(is_sharded(plan));
  EXPECT_EQ(plan.edges, sample_plan(1, 2, 2).edges);
}

TEST(ShardedPlan, SharesNothingMoreOutWithOneMicroBatch) {
  EXPECT_EQ(sharded_plan(8, 1, 2, 2).edges, sharded_plan(8, 1, 2, 1).edges);
}

std::uint64_t state_of(const Plan& plan, std::uint32_t replica,
                       ActorKind kind = ActorKind::kOptimizer) {
  std::uint64_t bytes = 0;
  for (const Actor& actor : plan.actors) {
    if (actor.kind == kind && actor.replica == replica) bytes += actor.state_bytes;
  }
  return bytes;
}

TEST(ShardedPlan, KeepsPartialSumsOfOwnGradientsOnly) {
  Plan state = sharded_plan(2, 1, 2, 1), gradients = sharded_plan(2, 1, 2, 2);
  const std::uint64_t all = edge_named(state, "gradients.r0.s0").bytes;
  constexpr std::uint64_t kPartialSums = 3;  // of 4 micro-batches
  std::uint64_t summed = 0;
  for (const std::uint32_t replica : {0u, 1u}) {
    EXPECT_EQ(state_of(state, replica, ActorKind::kLayerShard), kPartialSums * all);
    EXPECT_EQ(state_of(state, replica, ActorKind::kGradientSync), 0u);
    EXPECT_EQ(state_of(gradients, replica, ActorKind::kLayerShard), 0u);
    summed += state_of(gradients, replica, ActorKind::kGradientSync);
  }
  EXPECT_EQ(summed, kPartialSums * all);
  const auto before = memory_of(state), after = memory_of(gradients);
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_LT(after[i], before[i]);
}

TEST(ShardedPlan, SendsGradientsAfterEachMicroBatchAndReducesThemOnce) {
  Plan state = sharded_plan(2, 2, 4, 1), gradients = sharded_plan(2, 2, 4, 2);
  ASSERT_EQ(gradients.edges.size(), state.edges.size());
  for (const char* name : {"gradients.r0.s1", "kept.r0.s0.0", "sent.r1.s1.0/wire"}) {
    Edge& edge = edge_named(gradients, name);
    EXPECT_EQ(edge.tokens, 4u) << name;
    EXPECT_EQ(edge.slots, 1u) << name;
    EXPECT_EQ(edge.bytes, edge_named(state, name).bytes) << name;
    edge.tokens = 1;
    EXPECT_EQ(edge, edge_named(state, name)) << name;
  }
  for (const char* name : {"reduced.r0.s0", "reduced.r1.s1", "tied-reduced.r0", "held.r0.s0"})
    EXPECT_EQ(edge_named(gradients, name), edge_named(state, name)) << name;
}

TEST(ShardedPlan, FillsALongLineWithNoMoreThanOneGradient) {
  auto topology = sample_topology(2);
  ASSERT_FALSE(topology.lines.empty());
  for (auto& line : topology.lines) line.round_trip = std::chrono::seconds(1);
  Plan plan = make_plan(sharded_job(2, 1, 2), topology).value();
  EXPECT_EQ(edge_named(plan, "sent.r0.s0.0/wire").slots, 1u);
}

TEST(ShardedPlan, SaysWhatIsSharedOut) {
  const auto text = [](const Plan& plan) {
    std::ostringstream out;
    print_plan(plan, out);
    return out.str();
  };
  EXPECT_EQ(text(sample_plan(2, 2, 2)).find("shared out"), std::string::npos);
  EXPECT_NE(text(sharded_plan(2, 2, 2, 1)).find("\nshared out    masters and moments\n"),
            std::string::npos);
  EXPECT_NE(text(sharded_plan(2, 2, 2, 2)).find("sums of gradients, which travel after each micro"),
            std::string::npos);
  EXPECT_NE(text(sharded_plan(2, 2, 2, 3)).find("sums of gradients and weights, which travel for"),
            std::string::npos);
}

TEST(ShardedPlan, HoldsEachMomentOnceAndSendsHalfTheGradients) {
  Plan whole = sample_plan(4, 2, 4), sharded = sharded_plan(4, 2, 4);
  std::uint64_t state = 0, most = 0;
  for (std::uint32_t replica = 0; replica < 4; ++replica) {
    state += state_of(sharded, replica);
    most = std::max(most, state_of(sharded, replica));
  }
  EXPECT_EQ(state, state_of(whole, 0));
  EXPECT_LT(most, state / 2);
  const auto sent = [](const Plan& plan, const std::string& name) {
    std::uint64_t bytes = 0;
    for (const Edge& edge : plan.edges) {
      if (edge.name.starts_with(name) && edge.name.find('/') == std::string::npos)
        bytes += edge.bytes;
    }
    return bytes;
  };
  // Of G bytes, doubling sends 4 x 2 G and halving 4 x (G/2 + G/4), though not each replica as
  // much.
  EXPECT_LT(sent(sharded, "sent"), sent(whole, "sent") / 2);
  EXPECT_EQ(sent(sharded, "reduced.r") + sent(sharded, "tied-reduced"),
            (sent(whole, "reduced.r") + sent(whole, "tied-reduced")) / 4);
  EXPECT_EQ(sent(sharded, "weights"), sent(whole, "weights"));
  EXPECT_EQ(sent(sharded, "part"), sent(whole, "part"));
}

TEST(ShardedPlan, RoundsWeightsForAllReplicasOrNone) {
  job::Job job = sharded_job(4, 1);
  job.codecs.weights = "bf16+zstd";
  Plan plan = make_plan(job, sample_topology(2)).value();
  for (const char* replica : {"0", "1", "2", "3"}) {
    const std::string name = std::string("gathered.r") + replica + ".s0.";
    EXPECT_EQ(edge_named(plan, name + "0").codec, "bf16+zstd");
    EXPECT_EQ(edge_named(plan, name + "1").codec, "");
  }
  EXPECT_FALSE(plan.reproducible);
  plan = make_plan(job, sample_topology(1)).value();
  EXPECT_EQ(edge_named(plan, "gathered.r0.s0.0").codec, "");
  job.training.precision = nn::Precision::kBF16;
  EXPECT_TRUE(make_plan(job, sample_topology(2)).value().reproducible);
}

}  // namespace
}  // namespace reef::plan
