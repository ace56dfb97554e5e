// Plans whose sequences several replicas share.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string_view>

#include "samples.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/act_cost.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/leaf_order.h"
#include "scheduler/plan/live.h"
#include "scheduler/plan/print.h"
#include "scheduler/plan/segments.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

job::Job context_job(std::uint32_t dp, std::uint32_t pp, std::uint32_t tp, std::uint32_t cp,
                     std::uint32_t zero_stage = 0, const char* schedule = "1f1b") {
  job::Job job = sample_job(dp, pp);
  job.parallelism.tp = tp;
  job.parallelism.cp = cp;
  job.parallelism.zero_stage = zero_stage;
  job.parallelism.schedule = job::parse_schedule(schedule).value();
  return job;
}

Plan context_plan(std::uint32_t cp, std::uint32_t nodes = 1, std::uint32_t pp = 1) {
  return make_plan(context_job(1, pp, 1, cp), sample_topology(nodes)).value();
}

Actor& first(Plan& plan, ActorKind kind) {
  return *std::ranges::find(plan.actors, kind, &Actor::kind);
}

TEST(Segments, RingsAreTheAttentionLayers) {
  const nn::ModelSpec spec = job::spec_of(sample_job(1, 1));
  const auto layers = static_cast<std::uint32_t>(spec.layers.size());
  for (std::uint32_t cut = 1; cut < layers; ++cut) {
    const Segments head({0, cut}, Buckets({0, cut}, {}), false, 1, 2),
        tail({cut, layers}, Buckets({cut, layers}, {}), true, 1, 2);
    ASSERT_EQ(head.count() + tail.count(), layers);
    for (std::uint32_t i = 0; i < layers; ++i) {
      const bool ring = i < cut ? head.is_ring(i) : tail.is_ring(i - cut);
      EXPECT_EQ(ring, spec.layers[i].kind == nn::LayerKind::kAttention) << cut << ' ' << i;
    }
  }
}

TEST(Segments, FireOnceForEachReplicaMetAndOnceWhenSumsComeHome) {
  const Segments segments({0, 4}, Buckets({0, 4}, {}), false, 1, 8);
  EXPECT_EQ(segments.forward_firings(0), 1u);
  EXPECT_EQ(segments.backward_firings(0), 1u);
  EXPECT_EQ(segments.forward_firings(1), 8u);
  EXPECT_EQ(segments.backward_firings(1), 9u);
}

TEST(Segments, AreOneWhereNothingIsShared) {
  const Segments segments({3, 6}, Buckets({3, 6}, {}), true, 1, 1);
  EXPECT_EQ(segments.count(), 1u);
  EXPECT_EQ(segments.layers(0).first, 3u);
  EXPECT_EQ(segments.layers(0).last, 6u);
}

TEST(ContextPlan, IsLiveInEveryMix) {
  for (const char* schedule : {"1f1b", "zero-bubble", "interleaved:2"}) {
    for (const std::uint32_t dp : {1u, 2u}) {
      for (const std::uint32_t pp : {1u, 2u}) {
        for (const std::uint32_t tp : {1u, 2u}) {
          for (const std::uint32_t cp : {2u, 4u}) {
            for (const std::uint32_t zero : {0u, 1u, 2u}) {
              if (pp == 1 && std::string_view(schedule) != "1f1b") continue;
              const auto plan = make_plan(context_job(dp, pp, tp, cp, zero, schedule),
                                          sample_topology(dp * pp * cp));
              ASSERT_TRUE(plan.ok()) << plan.error().text();
              EXPECT_EQ(plan->context, cp);
              EXPECT_EQ(plan->replicas, dp * cp);
              EXPECT_EQ(micro_batches_of(*plan, 0), 8 / dp);
              EXPECT_FALSE(plan->reproducible);
              EXPECT_GT(plan->predicted_step_seconds, 0);
              const Plan again = decode(encode(*plan)).value();
              EXPECT_EQ(again, *plan);
            }
          }
        }
      }
    }
  }
}

TEST(ContextPlan, GivesThoseWhoShareSequencesTheSameLeaves) {
  for (const std::uint32_t zero : {0u, 2u}) {
    const Plan plan = make_plan(context_job(2, 1, 1, 2, zero), sample_topology(1)).value();
    const LeafOrder order(plan);
    std::multiset<std::uint64_t> leaves;
    for (std::uint32_t replica = 0; replica < 4; ++replica) {
      for (std::uint32_t micro = 0; micro < order.micro_batches(replica); ++micro) {
        leaves.insert(order.leaf(replica, micro));
        EXPECT_EQ(order.leaf(replica, micro), order.leaf(replica ^ 1, micro));
      }
    }
    for (std::uint64_t leaf = 0; leaf < 8; ++leaf) EXPECT_EQ(leaves.count(leaf), 2u);
  }
}

/// The reason for sharing sequences: what a replica holds of one shrinks.
TEST(ContextPlan, HoldsAPartOfEachSequence) {
  Plan whole = sample_plan(1, 1, 1);
  for (const std::uint32_t cp : {2u, 4u}) {
    Plan plan = context_plan(cp);
    for (const char* name : {"tokens.r0", "targets.r0", "logits.r0"})
      EXPECT_EQ(cp * edge_named(plan, name).bytes, edge_named(whole, name).bytes) << name;
  }
}

/// For any number of replicas: of longer sequences, shared by more, each holds as much.
TEST(ContextPlan, HoldsAsMuchOfLongerSequencesSharedByMore) {
  const auto activations = [](std::uint32_t cp) {
    job::Job job = context_job(1, 1, 1, cp);
    std::get<nn::GptConfig>(job.model).n_positions = 64 * cp;
    job.training.context = 64 * cp;
    const Plan plan = make_plan(job, sample_topology(1)).value();
    std::uint64_t bytes = 0;
    for (const Edge& edge : plan.edges) {
      const bool here = plan.actors[edge.producer].replica == 0;
      if (here &&
          (edge.content == Content::kActivation || edge.content == Content::kActivationGradient))
        bytes += edge.bytes * edge.slots;
    }
    return bytes;
  };
  EXPECT_EQ(activations(4), activations(8));
}

TEST(ContextPlan, PlacesThoseWhoShareSequencesSideBySide) {
  const placement::Shards shards{4, 2, 1, 2};
  using placement::Spread;
  for (const Spread spread : {Spread::kReplicas, Spread::kStages}) {
    for (std::uint32_t stage = 0; stage < 2; ++stage) {
      for (const std::uint32_t r : {0u, 2u}) {
        EXPECT_EQ(placement::node_of(spread, shards, 8, r, stage) + 1,
                  placement::node_of(spread, shards, 8, r + 1, stage));
        EXPECT_EQ(placement::node_of(spread, shards, 4, r, stage),
                  placement::node_of(spread, shards, 4, r + 1, stage));
      }
    }
  }
}

TEST(ContextPlan, CostsWhatOneReplicaWouldInAllButThatEachAddsItsGradients) {
  const auto work = [](const job::Job& job) {
    const Plan plan = make_plan(job, sample_topology(1)).value();
    double seconds = 0;
    for (const Actor& actor : plan.actors) {
      if (actor.kind != ActorKind::kLayerShard) continue;
      for (std::size_t i = 0; i < actor.acts.size(); ++i) {
        if (actor.acts[i].name == "loss") continue;
        seconds += actor.acts[i].firings *
                   act_seconds(plan, job::spec_of(job), tokens_per_shard(job), actor, i);
      }
    }
    return seconds;
  };
  const job::Job one = sample_job(1, 1);
  const nn::ModelSpec spec = job::spec_of(one);
  const auto parameters =
      static_cast<double>(cost::range_cost(spec, 0, spec.layers.size(), 1).parameters +
                          cost::range_cost(spec, 0, spec.layers.size(), 1).tied_parameters);
  const double sums =  // read twice and written once
      one.training.leaves * 3 * sizeof(float) * parameters / cost::bytes_per_second({});
  const double alone = work(one);
  for (const char* schedule : {"1f1b", "zero-bubble"}) {
    const double shared = work(context_job(1, 1, 1, 4, 0, schedule));
    EXPECT_NEAR(shared, alone + 3 * sums, 1e-9 * alone) << schedule;
  }
}

TEST(ContextPlan, IsPrintedWithWhoShares) {
  const Plan plan = context_plan(4, 4);
  std::ostringstream out;
  print_plan(plan, out);
  EXPECT_NE(out.str().find("4 replicas share sequences, 8 micro-batches"), std::string::npos);
  EXPECT_NE(out.str().find("dp 1 x pp 1 x cp 4, 1f1b"), std::string::npos);
  EXPECT_NE(out.str().find("keys, values and sums between replicas"), std::string::npos);
  EXPECT_EQ(out.str().find("send            send/keys"), std::string::npos);
}

TEST(ContextPlan, HostilePlansAreRefused) {
  const auto refused = [](const Plan& plan, const char* what) {
    const Status status = validate(plan);
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_EQ(status.error().code, Code::kProto) << what;
  };
  for (const std::uint32_t cp : {2u, 4u}) {
    const Plan good = context_plan(cp, 2, 2);
    ASSERT_TRUE(validate(good).ok());
    for (const std::uint32_t context : {0u, 1u, 3u, 8u, cp / 2, 2 * cp, 1u << 31}) {
      Plan plan = good;
      plan.context = context;
      refused(plan, "another context");
    }
    Plan plan = good;
    first(plan, ActorKind::kLayerShard).last_layer = ~0u;
    refused(plan, "more layers than acts");
    plan = good;
    first(plan, ActorKind::kLayerShard).first_layer += 1;
    refused(plan, "layers that begin with attention");
    for (std::size_t act = 0; act < first(plan, ActorKind::kLayerShard).acts.size(); ++act) {
      plan = good;
      auto& acts = first(plan, ActorKind::kLayerShard).acts;
      acts.erase(acts.begin() + static_cast<std::ptrdiff_t>(act));
      refused(plan, "an act less");
      plan = good;
      first(plan, ActorKind::kLayerShard).acts[act].firings *= 2;
      refused(plan, "another rate");
    }
  }
  Plan plan = context_plan(4);
  edge_named(plan, "keys.r1.s0.l1").tokens = 8;
  refused(plan, "a meeting without keys");
}

/// With the slot that fills while the other is met: without it every replica would wait for the
/// next one to take what it holds.
TEST(ContextPlan, NeedsBothSlotsOfARing) {
  Plan plan = context_plan(4);
  for (Edge& edge : plan.edges) {
    if (!edge.name.starts_with("keys.")) continue;
    EXPECT_EQ(edge.initial, 1u);
    EXPECT_EQ(edge.slots, 2u);
    edge.slots = 1;
  }
  ASSERT_TRUE(validate(plan).ok());
  EXPECT_EQ(prove_live(plan).error().code, Code::kJobGraph);
}

TEST(ContextPlan, JobsSayWhatCannotBe) {
  const auto error = [](const std::string& fields, const std::string& more = "") {
    std::string yaml = sample_yaml();
    yaml.replace(yaml.find("    dp: 2\n"), 10, "    dp: 2\n    " + fields + "\n");
    const auto job = job::parse_job(yaml + more, "sample.yaml");
    EXPECT_FALSE(job.ok()) << fields;
    return job.ok() ? std::string() : job.error().text();
  };
  const auto says = [](const std::string& text, const char* what) {
    EXPECT_NE(text.find(what), std::string::npos) << text;
  };
  says(error("cp: 3"), "spec.parallelism.cp: 3 is not a power of two; the nearest are 2 and 4");
  says(error("cp: 128"), "spec.parallelism.cp");
  says(error("cp: 2\n    recompute: full"), "use selective, or cp 1");
  says(error("cp: 2", "  codecs: {activations: bf16}\n"), "use none or none+zstd, or cp 1");
  says(error("cp: 2", "  codecs: {activations: \"auto:0.01\"}\n"), "or cp 1");
  std::string yaml = sample_yaml();
  yaml.replace(yaml.find("steps: 100"), 10, "steps: 100\n    context: 126");
  yaml.replace(yaml.find("    dp: 2\n"), 10, "    cp: 2\n");
  says(job::parse_job(yaml, "x.yaml").error().text(), "make it a multiple of 4 tokens long");
  yaml = sample_yaml();
  yaml.replace(yaml.find("n_head: 6"), 9, "n_head: 6, attn_pdrop: 0.1");
  yaml.replace(yaml.find("    dp: 2\n"), 10, "    cp: 2\n");
  says(job::parse_job(yaml, "x.yaml").error().text(), "cannot drop out");
}

TEST(ContextPlan, JobsKeepWhatTheySay) {
  const job::Job job = context_job(1, 2, 1, 4);
  EXPECT_EQ(job::job_from_json(job::job_to_json(job)).value().parallelism.cp, 4u);
}

}  // namespace
}  // namespace reef::plan
