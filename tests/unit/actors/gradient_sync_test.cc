#include <set>

#include "actors/sync/exchanges.h"
#include "actors/wire/tensor_codec.h"
#include "collectives/algorithms/leaf_tree.h"
#include "ops/codec/codec.h"
#include "ops/functional/functional.h"
#include "rig.h"

namespace reef::actors {
namespace {

/// Every replica's gradient sync of one stage, with the wires between them.
class Ring {
 public:
  Ring(std::uint32_t replicas, const std::string& codec, std::uint32_t datacenters = 1)
      : rig_(job(replicas, codec), replicas, datacenters) {
    for (const plan::Actor& actor : rig_.plan.actors) {
      if (actor.kind != plan::ActorKind::kGradientSync) continue;
      tasks_.push_back(rig_.make(actor).value());
      syncs_.push_back(&actor);
      const std::uint32_t near = datacenters > 1 ? replicas / datacenters : 1;
      EXPECT_EQ(actor.acts.size(),
                1 + collectives::leaf_tree_steps(replicas) + collectives::leaf_tree_steps(near));
    }
    EXPECT_EQ(tasks_.size(), replicas);
  }

  Token gradients(std::uint32_t replica) {
    Token token;
    token.round = {0, 1, 0, false, false};
    std::uint64_t row = replica * 100;
    for (const Gradient& gradient : gradients_of(rig_.model, *syncs_[replica], false))
      token.tensors.push_back(wild_tensor(rig_.context, gradient.shape, row++));
    return token;
  }

  /// What each replica's optimizer gets. What is sent passes through the codec as on a wire.
  std::vector<Token> reduce(std::vector<Token> kept) {
    const auto world = static_cast<std::uint32_t>(tasks_.size());
    const plan::SyncSteps order = plan::sync_steps(rig_.plan, *syncs_[0]);
    const std::uint32_t steps = order.acts() - 1;
    std::vector<Token> received(world);
    travelled.assign(steps, 0);
    residuals.assign(world, {});
    codecs.clear();
    for (std::uint32_t step = 0; step <= steps; ++step) {
      std::vector<Token> next(world), sent(world);
      for (std::uint32_t rank = 0; rank < world; ++rank) {
        std::vector<const Token*> inputs = {&kept[rank]};
        if (step > 0) inputs.push_back(&received[rank]);
        std::vector<Token*> outputs = {&next[rank]};
        if (step < steps) outputs.push_back(&sent[rank]);
        if (step == steps && syncs_[rank]->acts.back().outputs.size() > 1)
          outputs.push_back(&residuals[rank]);
        const Status status = rig_.run(*tasks_[rank], step, inputs, outputs);
        EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
      }
      for (std::uint32_t rank = 0; step < steps && rank < world; ++rank) {
        const Token& token = sent[rank ^ order.distance(step)];
        for (const ops::Tensor& tensor : token.tensors) travelled[step] += tensor.elements();
        received[rank] = step < order.exchanges ? across(token) : token;
      }
      kept = std::move(next);
    }
    return kept;
  }

  std::vector<Token> residuals;         ///< of the last reduce(), by replica
  std::set<std::string> codecs;         ///< of all that travelled in it encoded
  std::vector<std::int64_t> travelled;  ///< elements after each act

  Rig& rig() { return rig_; }
  Task& task(std::size_t replica) { return *tasks_[replica]; }

 private:
  static job::Job job(std::uint32_t replicas, const std::string& codec) {
    job::Job job = tiny_job(replicas, 1);
    job.training.leaves = replicas;
    job.codecs.gradients = codec;
    return job;
  }
  /// Joined, as send and receive actors take tensors over a wire.
  Token across(const Token& token) {
    if (token.encoded != nullptr) return decoded(token);
    const codec::Codec codec = codec::parse(rig_.job.codecs.gradients).value();
    std::vector<float> joined;
    for (const ops::Tensor& tensor : token.tensors) {
      const auto values = tensor.values<float>();
      joined.insert(joined.end(), values.begin(), values.end());
    }
    Bytes encoded;
    codec::encode(codec, std::span<const float>(joined), encoded);
    EXPECT_TRUE(codec::decode(codec, encoded, std::span<float>(joined)).ok());
    Token arrived = token;
    auto from = joined.begin();
    for (ops::Tensor& tensor : arrived.tensors) {
      tensor = ops::Tensor::empty(rig_.context.pool(), ops::DType::kF32, tensor.shape());
      std::copy_n(from, tensor.elements(), tensor.values<float>().begin());
      from += tensor.elements();
    }
    return arrived;
  }

  /// What a receiver makes of what the gradient sync has encoded itself.
  Token decoded(const Token& token) {
    codecs.insert(token.encoded->codec);
    plan::Edge wire;
    wire.codec = rig_.job.codecs.gradients;
    Token arrived = token;
    std::vector<ops::Shape> shapes;
    for (const auto& extents : token.encoded->shapes)
      shapes.push_back(ops::Shape::make(extents).value());
    std::vector<float> joined(token.encoded->raw_bytes / sizeof(float));
    const Status status = EdgeDecoder::make(wire).value().decode(
        *token.encoded, shapes, std::as_writable_bytes(std::span(joined)));
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
    auto from = joined.begin();
    arrived.tensors.clear();
    for (const ops::Shape& shape : shapes) {
      arrived.tensors.push_back(ops::Tensor::empty(rig_.context.pool(), ops::DType::kF32, shape));
      std::copy_n(from, shape.elements(), arrived.tensors.back().values<float>().begin());
      from += shape.elements();
    }
    return arrived;
  }

  Rig rig_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<const plan::Actor*> syncs_;
};

double sum_of(const std::vector<ops::Tensor>& tensors) {
  double sum = 0;
  for (const ops::Tensor& tensor : tensors) {
    for (const float value : tensor.values<float>()) sum += double(value);
  }
  return sum;
}

void expect_identical(const std::vector<Token>& reduced) {
  for (const Token& token : reduced) {
    ASSERT_EQ(token.tensors.size(), reduced[0].tensors.size());
    ASSERT_FALSE(token.tensors.empty());
    for (std::size_t i = 0; i < token.tensors.size(); ++i)
      EXPECT_TRUE(same_bits(token.tensors[i], reduced[0].tensors[i])) << i;
  }
}

TEST(GradientSync, KeepsReplicasIdenticalUnderEveryCodec) {
  for (const auto& [replicas, datacenters] : {std::pair{2, 1}, {4, 1}, {4, 2}, {8, 2}, {8, 4}}) {
    for (const char* codec :
         {"none", "none+zstd", "bf16", "bf16+zstd", "fp8", "int8", "int8+zstd", "int4",
          "int4+zstd3", "top-k:0.1", "top-k:0.1/64:int2", "power-sgd:2"}) {
      SCOPED_TRACE(testing::Message()
                   << replicas << " replicas, " << datacenters << " datacenters, " << codec);
      Ring ring(replicas, codec, datacenters);
      std::vector<Token> gradients;
      for (int r = 0; r < replicas; ++r) gradients.push_back(ring.gradients(r));
      expect_identical(ring.reduce(gradients));
    }
  }
}

/// What was not sent is in the residuals of whoever did not send it, once, and leaves the actor
/// with a snapshot.
TEST(GradientSync, OwesWhatItsCodecHeldBack) {
  for (const auto& [codec, datacenters] : {std::pair{"top-k:0.05:none", 1},
                                           {"power-sgd:1:none", 1},
                                           {"top-k:0.05:none", 2},
                                           {"power-sgd:1:none", 2}}) {
    SCOPED_TRACE(testing::Message() << codec << ", " << datacenters << " datacenters");
    Ring ring(4, codec, datacenters);
    double given = 0, arrived = 0, owed = 0;
    for (std::uint32_t round = 0; round < 3; ++round) {
      std::vector<Token> gradients;
      for (std::uint32_t r = 0; r < 4; ++r) {
        Token token = ring.gradients(r);
        token.round.snapshot = round == 2;
        given += sum_of(token.tensors);
        gradients.push_back(std::move(token));
      }
      const std::vector<Token> reduced = ring.reduce(gradients);
      expect_identical(reduced);
      arrived += sum_of(reduced[0].tensors);
      for (const Token& residual : ring.residuals) EXPECT_EQ(residual.empty, round < 2);
    }
    for (const Token& token : ring.residuals) {
      for (const ops::Tensor& tensor : token.tensors) {
        if (tensor.shape().rank() == 1 && std::string(codec).starts_with("power")) continue;
        owed += sum_of({tensor});
      }
    }
    EXPECT_GT(std::abs(owed), 0);
    EXPECT_NEAR(arrived + owed, given, 1e-5 * std::abs(given) + 1);
  }
}

/// Every replica sees another line; they choose alike, for the worst of them, and follow it.
TEST(GradientSync, ChoosesOneCodecForAllReplicas) {
  Ring ring(4, "auto:0.02");
  const auto codec_after = [&ring](const std::vector<link::LineNow>& lines) {
    const auto& edges = ring.rig().plan.edges;
    std::size_t wires = 0;
    for (const plan::Edge& edge : edges) {
      if (edge.wire && edge.content == plan::Content::kGradient)
        ring.rig().wire.lines[edge.id] = lines[wires++ % lines.size()];
    }
    EXPECT_GT(wires, 1u);
    std::vector<Token> gradients;
    for (std::uint32_t r = 0; r < 4; ++r) gradients.push_back(ring.gradients(r));
    expect_identical(ring.reduce(gradients));  // agrees
    expect_identical(ring.reduce(gradients));  // and does so
    return ring.codecs;
  };
  using Codecs = std::set<std::string>;
  EXPECT_EQ(codec_after({{}}), Codecs{"bf16+zstd"});  // nothing is known yet
  // The way there is all that counts: nothing is gained by losing anything.
  const link::LineNow far{1e12, std::chrono::seconds(10)};
  EXPECT_EQ(codec_after({far}), Codecs{"none"});
  // One line is slow: little must travel, on all of them.
  const auto slow = codec_after({far, far, {100, {}}, far});
  ASSERT_EQ(slow.size(), 1u);
  EXPECT_TRUE(slow.begin()->starts_with("int8") || slow.begin()->starts_with("fp8"))
      << *slow.begin();
  EXPECT_EQ(codec_after({{}}), slow);  // nothing known is no reason to change
  EXPECT_EQ(codec_after({far}), Codecs{"none"});
}

TEST(GradientSync, RefusesAPartnerThatChoosesAmongOtherCodecs) {
  Ring ring(2, "auto:0.05");
  const Token own = ring.gradients(0);
  Token kept, sent, out;
  ASSERT_TRUE(ring.rig().run(ring.task(0), 0, {&own}, {&kept, &sent}).ok());
  Token partner = ring.gradients(1);
  partner.scalars = {1, 2, 3};
  EXPECT_EQ(ring.rig().run(ring.task(0), 1, {&kept, &partner}, {&out}).error().code, Code::kProto);
}

class Datacenters : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Datacenters, AddUpAlongTheLeafTree) {
  Ring ring(4, "none", GetParam());
  std::vector<Token> g;
  for (std::uint32_t r = 0; r < 4; ++r) g.push_back(ring.gradients(r));
  const std::vector<Token> reduced = ring.reduce(g);
  ops::Context& context = ring.rig().context;
  for (std::size_t i = 0; i < reduced[0].tensors.size(); ++i) {
    const auto left = ops::add(context, g[0].tensors[i], g[1].tensors[i]);
    const auto right = ops::add(context, g[2].tensors[i], g[3].tensors[i]);
    EXPECT_TRUE(same_bits(reduced[0].tensors[i], ops::add(context, left, right))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(GradientSync, Datacenters, testing::Values(1, 2, 4));

/// One replica's worth over each line, and in datacenters no more than they would add up anyway.
TEST(GradientSync, SendsASumOverALineOnceADatacenter) {
  Ring ring(8, "none", 2);
  std::vector<Token> g;
  std::int64_t all = 0;
  for (std::uint32_t r = 0; r < 8; ++r) g.push_back(ring.gradients(r));
  for (const ops::Tensor& tensor : g[0].tensors) all += tensor.elements();
  expect_identical(ring.reduce(g));
  EXPECT_EQ(ring.travelled,
            (std::vector<std::int64_t>{8 * all, 8 * all, 2 * all, 2 * all, 4 * all}));
}

TEST(GradientSync, LeavesItsInputsAsTheyWere) {
  Ring ring(2, "bf16");
  const Token first = ring.gradients(0);
  ring.reduce({first, ring.gradients(1)});
  const Token again = ring.gradients(0);
  for (std::size_t i = 0; i < first.tensors.size(); ++i)
    EXPECT_TRUE(same_bits(first.tensors[i], again.tensors[i])) << i;
}

TEST(GradientSync, PassesOnThatARoundHasNoGradients) {
  Ring ring(2, "bf16");
  Token empty;
  empty.round = {7, 3, 2, false, true};
  empty.empty = true;
  for (const Token& reduced : ring.reduce({empty, empty})) {
    EXPECT_TRUE(reduced.empty);
    EXPECT_EQ(reduced.round, empty.round);
    EXPECT_TRUE(reduced.tensors.empty());
  }
}

TEST(GradientSync, RefusesAPartnerOfAnotherRoundCountOrShape) {
  Ring ring(2, "none");
  const Token own = ring.gradients(0);
  Token late = ring.gradients(1);
  late.round.number += 1;
  Token fewer = ring.gradients(1);
  fewer.tensors.pop_back();
  Token bent = ring.gradients(1);
  bent.tensors[0] = bent.tensors[0].reshape({1, bent.tensors[0].elements()});
  for (const Token* partner : {&late, &fewer, &bent}) {
    Token out;
    EXPECT_FALSE(ring.rig().run(ring.task(0), 1, {&own, partner}, {&out}).ok());
  }
}

}  // namespace
}  // namespace reef::actors
