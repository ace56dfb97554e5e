#include <algorithm>
#include <cmath>
#include <functional>
#include <sstream>

#include "runtime/base/file.h"
#include "samples.h"
#include "scheduler/cost/cost.h"
#include "scheduler/plan/act_cost.h"
#include "scheduler/plan/live.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/print.h"
#include "scheduler/plan/print_json.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

TEST(MakePlan, EveryLayoutIsValidAndLive) {
  for (const std::uint32_t replicas : {1, 2, 4}) {
    for (const std::uint32_t stages : {1, 2, 4}) {
      for (const std::uint32_t nodes : {1, 2, 4}) {
        SCOPED_TRACE(testing::Message() << replicas << " x " << stages << " on " << nodes);
        const auto plan = make_plan(sample_job(replicas, stages), sample_topology(nodes));
        if (replicas * stages < nodes) {
          ASSERT_FALSE(plan.ok());
          EXPECT_EQ(plan.error().code, Code::kNoFit);
          continue;
        }
        ASSERT_TRUE(plan.ok()) << plan.error().text();
        EXPECT_TRUE(validate(*plan).ok());
        EXPECT_TRUE(prove_live(*plan).ok());
        EXPECT_GT(plan->predicted_step_seconds, 0);
        EXPECT_TRUE(plan->reproducible);
        for (const Edge& edge : plan->edges) {
          EXPECT_EQ(edge.wire, plan->actors[edge.producer].node != plan->actors[edge.consumer].node)
              << edge.name;
        }
      }
    }
  }
}

TEST(MakePlan, StashesOneMicroBatchLessAtEachStage) {
  Plan plan = sample_plan(2, 4, 1);
  EXPECT_EQ(edge_named(plan, "stash.r0.s0").slots, 4u);
  EXPECT_EQ(edge_named(plan, "stash.r0.s3").slots, 1u);
}

/// `pp` nodes of one datacenter, and a model whose blocks outweigh embedding and head.
Plan pipeline(std::uint32_t pp, const char* schedule) {
  job::Job job = sample_job(1, pp);
  std::get<nn::GptConfig>(job.model).n_layer = 16;
  std::get<nn::GptConfig>(job.model).vocab_size = 16;
  job.training.leaves = 16;
  job.parallelism.schedule = job::parse_schedule(schedule).value();
  topology::Topology topology = sample_topology(pp);
  for (topology::Node& node : topology.nodes) node.datacenter = "east";
  auto plan = make_plan(job, topology);
  EXPECT_TRUE(plan.ok()) << plan.error().text();
  return *plan;
}

TEST(MakePlan, CutsWhereTheJobSays) {
  job::Job job = sample_job(1, 2);
  job.parallelism.layers = {3, 7};
  const Plan plan = make_plan(job, sample_topology(2)).value();
  for (const Actor& actor : plan.actors) {
    if (actor.kind != ActorKind::kLayerShard) continue;
    EXPECT_EQ(actor.last_layer - actor.first_layer, actor.stage == 0 ? 3u : 7u);
  }
}

TEST(MakePlan, DealsInterleavedStagesToDevicesInTurn) {
  Plan plan = pipeline(4, "interleaved:2");
  EXPECT_EQ(plan.stages, 8u);
  for (const Actor& actor : plan.actors) {
    if (actor.kind != ActorKind::kLayerShard) continue;
    EXPECT_EQ(actor.node, actor.stage % 4) << actor.name;
  }
  EXPECT_EQ(edge_named(plan, "stash.r0.s0").slots, 9u) << "one is on the way";
}

TEST(MakePlan, LeavesGradientsOfWeightsForLaterOnlyWithoutBubbles) {
  Plan plan = pipeline(4, "zero-bubble");
  EXPECT_EQ(edge_named(plan, "rest.r0.s0").slots, 2u);
  EXPECT_EQ(edge_named(plan, "rest.r0.s3").slots, 5u);
  EXPECT_EQ(edge_named(plan, "rest.r0.s3").producer, edge_named(plan, "rest.r0.s3").consumer);
  for (const Edge& edge : pipeline(4, "1f1b").edges) EXPECT_FALSE(edge.name.starts_with("rest"));
}

/// The time that devices wait, beside the time that they work, of m micro-batches on p stages:
/// (p - 1) / m; of v stages a device the v-th part; with gradients of weights in the gaps a third,
/// where forward and the halves of backward take equally long (arXiv 2104.04473, 2401.10241).
TEST(MakePlan, PredictsTheBubbleOfEachSchedule) {
  const double work = pipeline(1, "1f1b").predicted_step_seconds / 4;
  const auto bubble = [work](const char* schedule) {
    return pipeline(4, schedule).predicted_step_seconds / work - 1;
  };
  const double plain = bubble("1f1b"), interleaved = bubble("interleaved:2"),
               filled = bubble("zero-bubble");
  EXPECT_NEAR(plain, 3.0 / 16, 0.01);
  // An act that waits for its device keeps its actor from submitting a more urgent one, and of
  // twice as many messages each takes its time.
  EXPECT_NEAR(interleaved, 1.5 / 16, 0.03);
  EXPECT_NEAR(filled, 1.0 / 16, 0.01);
}

TEST(MakePlan, StaysWithinTheDatacentersThatTheJobNames) {
  job::Job job = sample_job(1, 2);
  job.datacenters = {"west"};
  EXPECT_EQ(job::job_from_json(job::job_to_json(job)).value(), job);
  const Plan plan = make_plan(job, sample_topology(4)).value();
  ASSERT_EQ(plan.nodes.size(), 2u);
  for (const Node& node : plan.nodes) EXPECT_EQ(node.datacenter, "west");
  job.datacenters = {"south"};
  EXPECT_EQ(make_plan(job, sample_topology(4)).error().where, "spec.placement.datacenters");
}

TEST(MakePlan, TakesTiedWeightsToTheHead) {
  Plan plan = sample_plan(1, 2, 2);
  EXPECT_EQ(edge_named(plan, "tied-weights.r0").initial, 1u);
  EXPECT_EQ(edge_named(plan, "tied-weights.r0/received").initial, 0u);
  EXPECT_EQ(edge_named(plan, "tied-reduced.r0/received").consumer,
            edge_named(plan, "weights.r0.s0").producer);
  Plan whole = sample_plan(2, 1, 2);
  for (const Edge& edge : whole.edges) EXPECT_FALSE(edge.name.starts_with("tied")) << edge.name;
}

TEST(MakePlan, IsNotReproducibleWithARoundingCodecOnAWire) {
  job::Job job = sample_job(2, 1);
  job.codecs.gradients = "bf16+zstd";
  EXPECT_FALSE(make_plan(job, sample_topology(2)).value().reproducible);
  EXPECT_TRUE(make_plan(job, sample_topology(1)).value().reproducible);
}

job::Job bf16_job(std::uint32_t replicas, std::uint32_t stages) {
  job::Job job = sample_job(replicas, stages);
  job.training.precision = nn::Precision::kBF16;
  return job;
}

TEST(MakePlan, CountsTheBytesThatAnAutomaticCodecWillLeave) {
  const auto planned = [](const char* codec) {
    job::Job job = sample_job(1, 2);
    job.training.leaves = 32;
    job.codecs.activations = codec;
    Plan plan = make_plan(job, sample_topology(2)).value();
    return edge_named(plan, "hidden.r0.s0/wire");
  };
  const Edge automatic = planned("auto:0.02"), named = planned("int8+zstd");
  EXPECT_EQ(automatic.ratio, named.ratio);
  EXPECT_EQ(automatic.slots, named.slots);
  EXPECT_EQ(automatic.codec, "auto:0.02");
}

TEST(MakePlan, HalvesWhatLayersSeeInBF16AndNothingElse) {
  Plan wide = sample_plan(2, 2, 2);
  Plan narrow = make_plan(bf16_job(2, 2), sample_topology(2)).value();
  ASSERT_EQ(narrow.edges.size(), wide.edges.size());
  for (const char* name : {"hidden.r0.s0", "hidden-gradient.r1.s1", "tied-weights.r0"}) {
    EXPECT_EQ(2 * edge_named(narrow, name).bytes, edge_named(wide, name).bytes) << name;
    EXPECT_EQ(edge_named(narrow, name).dtype, ops::DType::kBF16) << name;
  }
  for (const char* name : {"tokens.r0", "logits.r0", "logits-gradient.r0", "gradients.r0.s0",
                           "reduced.r0.s0", "tied-reduced.r0", "held.r0.s1", "snapshot.s0"}) {
    EXPECT_EQ(edge_named(narrow, name).bytes, edge_named(wide, name).bytes) << name;
    EXPECT_EQ(edge_named(narrow, name).dtype, edge_named(wide, name).dtype) << name;
  }
  for (std::size_t i = 0; i < wide.actors.size(); ++i) {
    EXPECT_EQ(narrow.actors[i].state_bytes, wide.actors[i].state_bytes) << wide.actors[i].name;
  }
  const auto needed = memory_of(narrow), before = memory_of(wide);
  for (std::size_t i = 0; i < needed.size(); ++i) EXPECT_LT(needed[i], before[i]) << i;
}

TEST(MakePlan, CountsVectorsOfBF16JobsInF32) {
  const job::Job job = bf16_job(1, 1);
  const std::uint64_t c = static_cast<std::uint64_t>(nn::width_of(job.model));
  const std::uint64_t matrices = (256 + 128) * c + 4 * 12 * c * c;
  const std::uint64_t vectors = 4 * 13 * c + 2 * c;  // of a block: norms 4, biases 3 + 1 + 4 + 1
  Plan plan = make_plan(job, sample_topology(1)).value();
  EXPECT_EQ(edge_named(plan, "weights.r0.s0").bytes, 2 * matrices + 4 * vectors);
}

TEST(MakePlan, KnowsThatNothingIsLeftToRoundInBF16) {
  job::Job job = bf16_job(1, 2);
  job.codecs.activations = job.codecs.weights = "bf16+zstd";
  EXPECT_TRUE(make_plan(job, sample_topology(2)).value().reproducible);
  job.codecs.gradients = "bf16+zstd";  // of weights: f32, and the tied one goes to the other stage
  EXPECT_FALSE(make_plan(job, sample_topology(2)).value().reproducible);
  job = sample_job(1, 2);
  job.codecs.activations = "bf16+zstd";
  EXPECT_FALSE(make_plan(job, sample_topology(2)).value().reproducible);
}

TEST(MakePlan, PrintsTheDtypeOfEveryEdge) {
  std::ostringstream out;
  print_plan(make_plan(bf16_job(1, 2), sample_topology(2)).value(), out);
  EXPECT_NE(out.str().find("96.0 KiB    bf16   none"), std::string::npos) << out.str();
}

TEST(MakePlan, RoundsWhatIsKeptLikeWhatIsSent) {
  // Blocks of three shards: of four replicas of stage 0 three share a node. Their sums must still
  // round alike.
  job::Job job = sample_job(4, 3);
  job.codecs.gradients = "bf16+zstd";
  Plan plan = make_plan(job, sample_topology(4)).value();
  for (const Edge& edge : plan.edges) {
    if (!edge.name.starts_with("sent") || !edge.name.ends_with("/wire")) continue;
    const std::string level =
        edge.name.substr(7, edge.name.size() - 7 - 5);  // "sent.rN" ... "/wire"
    for (const char replica : {'0', '1', '2', '3'}) {
      EXPECT_EQ(edge_named(plan, std::string("kept.r") + replica + level).codec, "bf16+zstd");
    }
  }
  EXPECT_FALSE(plan.reproducible);
  const bool tied_travels = std::ranges::any_of(plan.edges, [](const Edge& edge) {
    return edge.wire && edge.name.starts_with("tied-reduced");
  });
  for (const char replica : {'0', '1', '2', '3'}) {
    EXPECT_EQ(edge_named(plan, std::string("tied-reduced.r") + replica).codec,
              tied_travels ? "bf16+zstd" : "");
  }
}

TEST(MakePlan, SendsLittleOverTheSlowLine) {
  // Either gradients or activations cross; long sequences make the latter dear.
  job::Job job = sample_job(2, 2);
  job.training.sequences_per_leaf = 64;
  const auto plan = make_plan(job, sample_topology(2)).value();
  EXPECT_TRUE(plan.layout.find("replicas spread") != std::string::npos) << plan.layout;
  job.training.sequences_per_leaf = 1;
  job.training.context = 16;
  EXPECT_TRUE(make_plan(job, sample_topology(2)).value().layout.find("stages spread") !=
              std::string::npos);
}

TEST(MakePlan, ReadsAheadAsFarAsTheJobSays) {
  for (const std::uint32_t prefetch : {1u, 2u, 7u}) {
    job::Job job = sample_job(2, 2);
    job.data.prefetch = prefetch;
    Plan plan = make_plan(job, sample_topology(1)).value();  // live with any
    EXPECT_EQ(edge_named(plan, "tokens.r0").slots, prefetch);
    EXPECT_EQ(edge_named(plan, "targets.r0").slots, prefetch + 1);  // one is in the first stage
  }
}

TEST(MakePlan, RefusesTooLittleMemoryWithTheArithmetic) {
  const auto plan = make_plan(sample_job(1, 1), sample_topology(1, 1 << 20));
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, Code::kNoFit);
  EXPECT_NE(plan.error().what.find("but may use 1.0 MiB: short by"), std::string::npos)
      << plan.error().text();
}

TEST(MakePlan, PlansTheQuickstart) {
  const std::string file = "configs/jobs/quickstart.yaml";
  const auto job = job::parse_job(read_file(file).value(), file);
  ASSERT_TRUE(job.ok()) << job.error().text();
  const auto topology = topology::read_topology(job->topology);
  const auto plan = make_plan(*job, topology.value());
  ASSERT_TRUE(plan.ok()) << plan.error().text();
  std::ostringstream out;
  print_plan(*plan, out);
  if (std::getenv("ATOLL_SHOW_PLAN")) std::fputs(out.str().c_str(), stdout);
  EXPECT_NE(out.str().find("node east-0 in east"), std::string::npos);
  EXPECT_NE(plan_to_json(*plan).find("\"memoryNeeded\""), std::string::npos);
}

TEST(MakePlan, CutsByTheSpeedsOfTheNodes) {
  topology::Topology topology = sample_topology(2);
  topology.nodes[1].device.speed = 2 * cost::flops_per_second({}, 1);
  const job::Job job = sample_job(1, 2);
  const auto layers_of = [&job](const topology::Topology& on, std::uint32_t stage) {
    const auto plan = make_plan(job, on);
    EXPECT_TRUE(plan.ok()) << plan.error().text();
    for (const Actor& actor : plan->actors) {
      if (actor.kind == ActorKind::kLayerShard && actor.stage == stage)
        return actor.last_layer - actor.first_layer;
    }
    return 0u;
  };
  EXPECT_LT(layers_of(topology, 0), layers_of(sample_topology(2), 0));
  EXPECT_GT(layers_of(topology, 1), layers_of(sample_topology(2), 1));
}

TEST(MakePlan, SaysLoudlyWhoIsPaced) {
  topology::Topology topology = sample_topology(2);
  EXPECT_EQ(paced_text(*make_plan(sample_job(1, 2), topology)), "");
  topology.nodes[1].device = {40e9, 0, true};
  const auto plan = make_plan(sample_job(1, 2), topology);
  EXPECT_EQ(paced_text(*plan).substr(0, 36), "node-1 at 40.0GFLOP/s: these devices");
  std::ostringstream out;
  print_plan(*plan, out);
  EXPECT_NE(out.str().find("\nPACED         node-1"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("device rates stated or measured of 1 nodes, else defaults"),
            std::string::npos);
}

TEST(ActSeconds, AreWorkOverWhatTheDeviceDoes) {
  const job::Job job = sample_job(1, 2);
  const nn::ModelSpec spec = job::spec_of(job);
  Plan plan = *make_plan(job, sample_topology(2));
  for (const Actor& actor : plan.actors) {
    for (std::size_t act = 0; act < actor.acts.size(); ++act) {
      plan.nodes[actor.node].device = {};
      const double before = act_seconds(plan, spec, 512, actor, act);
      plan.nodes[actor.node].device.speed = 10 * cost::flops_per_second({}, 1);
      const double after = act_seconds(plan, spec, 512, actor, act);
      EXPECT_DOUBLE_EQ(after, computes(actor.kind) ? before / 10 : before) << actor.name;
      EXPECT_TRUE(after > 0 || actor.kind != ActorKind::kLayerShard) << actor.name;
    }
  }
}

TEST(Validate, RefusesAPlanThatIsShardedInPart) {
  job::Job job = sample_job(4, 2);
  job.parallelism.zero_stage = 1;
  const Plan sharded = make_plan(job, sample_topology(2)).value();
  const Plan whole = sample_plan(4, 2, 2);
  const auto first = [](Plan& plan, ActorKind kind) -> Actor& {
    return *std::ranges::find(plan.actors, kind, &Actor::kind);
  };
  const auto refused = [](const Plan& plan, const char* what) {
    const Status status = validate(plan);
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_EQ(status.error().code, Code::kProto) << what;
  };
  Plan plan = sharded;
  first(plan, ActorKind::kAllGather).kind = ActorKind::kGradientSync;
  refused(plan, "a gather as sync");
  plan = whole;
  first(plan, ActorKind::kGradientSync).kind = ActorKind::kAllGather;
  refused(plan, "a sync as gather");
  plan = sharded;
  for (Actor& actor : plan.actors) {
    if (actor.kind == ActorKind::kAllGather) actor.kind = ActorKind::kMetrics;
  }
  refused(plan, "no gather");
  plan = sharded;
  first(plan, ActorKind::kClipNorm).acts[0].inputs.pop_back();
  refused(plan, "a norm that does not hear of all");
  plan = sharded;
  first(plan, ActorKind::kOptimizer)
      .acts[0]
      .outputs.erase(first(plan, ActorKind::kOptimizer).acts[0].outputs.begin());
  refused(plan, "squares for too few norms");
  plan = sharded;
  first(plan, ActorKind::kClipNorm).acts[0].inputs.resize(1);
  refused(plan, "a norm that hears of one");
  plan = whole;
  first(plan, ActorKind::kClipNorm).acts[0].inputs.resize(1);
  refused(plan, "a norm that hears of one stage");
  plan = sharded;
  first(plan, ActorKind::kOptimizer).acts[0].outputs.clear();
  refused(plan, "no squares at all");
  plan = sharded;
  plan.replicas = 2;
  refused(plan, "fewer replicas");
  plan = sharded;
  edge_named(plan, "slices.r0.s0").codec = "bf16";
  refused(plan, "a codec where nobody rounds");
  plan = sharded;
  edge_named(plan, "gathered.r0.s0.0").codec = "top-k:0.1";
  refused(plan, "feedback for weights");
}

TEST(Validate, RefusesAPlanWhoseSyncsDoNotAgree) {
  job::Job job = sample_job(2, 2);
  job.parallelism.zero_stage = 2;
  const Plan good = make_plan(job, sample_topology(1)).value();
  ASSERT_TRUE(validate(good).ok());
  const auto what = [](const Plan& plan) {
    const Status status = validate(plan);
    return status.ok() ? "" : status.error().what;
  };
  /// One act of a sync that fires once a round, with its edges.
  const auto slow = [](Plan& plan, const Actor& sync) {
    for (std::size_t i = 0; i < sync.acts.size(); ++i) {
      Act& act = plan.actors[sync.id].acts[i];
      act.firings = 1;
      for (auto* ports : {&act.inputs, &act.outputs}) {
        for (Port& port : *ports) {
          plan.edges[port.edge].tokens = 1;
          port.group = 1;
        }
      }
    }
  };
  Plan plan = good;
  for (const Actor& actor : good.actors) {
    if (actor.kind != ActorKind::kGradientSync) continue;
    slow(plan, actor);
    break;
  }
  EXPECT_NE(what(plan), "");
  for (const Actor& actor : good.actors) {
    if (actor.kind == ActorKind::kGradientSync) slow(plan, actor);
  }
  EXPECT_EQ(what(plan),
            "a group that is not its rate");  // of the layer shard; all else is in order
  for (Actor& actor : plan.actors) {
    for (Act& act : actor.acts) {
      for (Port& port : act.outputs) port.group = act.firings / plan.edges[port.edge].tokens;
    }
  }
  EXPECT_EQ(what(plan), "");
  // A sync of whole gradients meets once a round.
  plan = sample_plan(2, 2, 1);
  for (Actor& actor : plan.actors) {
    if (actor.kind == ActorKind::kGradientSync) actor.acts[0].firings = 4;
  }
  EXPECT_NE(what(plan), "");
}

/// Ports agree, and all rates divide: only the act would find no token where it makes one.
TEST(Validate, RefusesAnEdgeWithFewerTokensThanItsSlowerEndFires) {
  Plan plan = sample_plan(2, 2, 1);
  Edge& edge = edge_named(plan, "hidden.r0.s0");
  const auto group = [&plan, &edge](ActorId actor, std::uint32_t act) {
    for (auto* ports :
         {&plan.actors[actor].acts[act].inputs, &plan.actors[actor].acts[act].outputs}) {
      for (Port& port : *ports) {
        if (port.edge == edge.id) port.group = edge.tokens == 1 ? 4 : 1;
      }
    }
  };
  edge.tokens = 1;
  group(edge.producer, edge.producer_act);
  group(edge.consumer, edge.consumer_act);
  ASSERT_FALSE(validate(plan).ok());
  EXPECT_EQ(validate(plan).error().what,
            "fewer tokens than firings of the end that fires less often");
  edge.tokens = 4;
  group(edge.producer, edge.producer_act);
  group(edge.consumer, edge.consumer_act);
  EXPECT_TRUE(validate(plan).ok());
}

TEST(Validate, RefusesDamage) {
  const Plan good = sample_plan(2, 2, 2);
  const std::vector<std::function<void(Plan&)>> damages = {
      [](Plan& p) { p.nodes.clear(); },
      [](Plan& p) { p.replicas = 3; },
      [](Plan& p) { p.leaves = 0; },
      [](Plan& p) { p.stages = 4000000000; },
      [](Plan& p) { p.edges[0].consumer = 4000000000; },
      [](Plan& p) { p.edges[0].producer_act = 7; },
      [](Plan& p) { p.edges[0].tokens = 0; },
      [](Plan& p) { p.edges[0].tokens = 3; },
      [](Plan& p) { p.edges[0].slots = 0; },
      [](Plan& p) { p.edges[0].bytes = ~std::uint64_t{0}; },
      [](Plan& p) { p.edges[0].initial = 9; },
      [](Plan& p) { p.edges[1].name = p.edges[0].name; },
      [](Plan& p) { p.edges[0].wire = true; },
      [](Plan& p) { p.edges[0].dtype = static_cast<ops::DType>(99); },
      [](Plan& p) { edge_named(p, "gradients.r0.s0").dtype = ops::DType::kBF16; },
      [](Plan& p) { edge_named(p, "hidden.r0.s0").dtype = ops::DType::kI32; },
      [](Plan& p) { p.edges[0].content = static_cast<Content>(99); },
      [](Plan& p) { p.actors[0].kind = static_cast<ActorKind>(99); },
      [](Plan& p) { p.actors[0].node = 99; },
      [](Plan& p) { p.actors[0].acts.clear(); },
      [](Plan& p) { p.actors[1].acts[0].inputs.pop_back(); },
      [](Plan& p) { p.actors[1].acts[0].firings = 0; },
      [](Plan& p) { p.actors[1].acts[0].inputs[0].group = 0; },
      [](Plan& p) { p.actors[1].acts[0].inputs[0].edge = 4000000000; },
      [](Plan& p) { p.actors[1].acts[0].inputs[1] = p.actors[1].acts[0].inputs[0]; },
      [](Plan& p) { p.nodes[0].memory = 1; },
      [](Plan& p) { p.nodes[0].device.speed = -1; },
      [](Plan& p) { p.nodes[0].device.speed = 1e-300; },
      [](Plan& p) { p.nodes[0].device.speed = std::nan(""); },
      [](Plan& p) { p.nodes[0].device.bandwidth = HUGE_VAL; },
      [](Plan& p) { p.nodes[0].device.paced = true; },
      [](Plan& p) { p.predicted_step_seconds = -1; },
  };
  for (std::size_t i = 0; i < damages.size(); ++i) {
    Plan plan = good;
    damages[i](plan);
    const Status status = validate(plan);
    ASSERT_FALSE(status.ok()) << "damage " << i;
    EXPECT_EQ(status.error().code, Code::kProto);
  }
}

}  // namespace
}  // namespace reef::plan
