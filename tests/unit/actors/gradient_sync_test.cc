#include "collectives/algorithms/leaf_tree.h"
#include "ops/codec/codec.h"
#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "rig.h"

namespace reef::actors {
namespace {

/// Every replica's gradient sync of one stage, with the wires between them.
class Ring {
 public:
  Ring(std::uint32_t replicas, const std::string& codec) : rig_(job(replicas, codec), replicas) {
    for (const plan::Actor& actor : rig_.plan.actors) {
      if (actor.kind != plan::ActorKind::kGradientSync) continue;
      tasks_.push_back(rig_.make(actor).value());
      EXPECT_EQ(actor.acts.size(), collectives::leaf_tree_steps(replicas) + 1);
    }
    EXPECT_EQ(tasks_.size(), replicas);
  }

  Token gradients(std::uint32_t replica) {
    Token token;
    token.round = {0, 1, 0, false, false};
    for (std::uint64_t i = 0; i < count(); ++i)
      token.tensors.push_back(wild_tensor(rig_.context, {9}, replica * 100 + i));
    return token;
  }

  /// What each replica's optimizer gets. What is sent passes through the codec as on a wire.
  std::vector<Token> reduce(std::vector<Token> kept) {
    const auto world = static_cast<std::uint32_t>(tasks_.size());
    const std::uint32_t steps = collectives::leaf_tree_steps(world);
    std::vector<Token> received(world);
    for (std::uint32_t step = 0; step <= steps; ++step) {
      std::vector<Token> next(world), sent(world);
      for (std::uint32_t rank = 0; rank < world; ++rank) {
        std::vector<const Token*> inputs = {&kept[rank]};
        if (step > 0) inputs.push_back(&received[rank]);
        std::vector<Token*> outputs = {&next[rank]};
        if (step < steps) outputs.push_back(&sent[rank]);
        const Status status = rig_.run(*tasks_[rank], step, inputs, outputs);
        EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
      }
      for (std::uint32_t rank = 0; step < steps && rank < world; ++rank)
        received[rank] = across(sent[collectives::leaf_tree_partner(rank, step)]);
      kept = std::move(next);
    }
    return kept;
  }

  Rig& rig() { return rig_; }
  Task& task(std::size_t replica) { return *tasks_[replica]; }

 private:
  static job::Job job(std::uint32_t replicas, const std::string& codec) {
    job::Job job = tiny_job(replicas, 1);
    job.codecs.gradients = codec;
    return job;
  }
  std::size_t count() const {
    const nn::Stage whole(rig_.model, 0, rig_.model.layers.size());
    return gradient_names(whole).size();
  }
  /// Joined, as send and receive actors take tensors over a wire.
  Token across(const Token& token) {
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

  Rig rig_;
  std::vector<std::unique_ptr<Task>> tasks_;
};

void expect_identical(const std::vector<Token>& reduced) {
  for (const Token& token : reduced) {
    ASSERT_EQ(token.tensors.size(), reduced[0].tensors.size());
    ASSERT_FALSE(token.tensors.empty());
    for (std::size_t i = 0; i < token.tensors.size(); ++i)
      EXPECT_TRUE(same_bits(token.tensors[i], reduced[0].tensors[i])) << i;
  }
}

TEST(GradientSync, KeepsReplicasIdenticalUnderEveryCodec) {
  for (const std::uint32_t replicas : {2, 4}) {
    for (const char* codec : {"none", "none+zstd", "bf16", "bf16+zstd", "fp8", "int8", "int8+zstd",
                              "int4", "int4+zstd3"}) {
      SCOPED_TRACE(testing::Message() << replicas << " replicas, " << codec);
      Ring ring(replicas, codec);
      std::vector<Token> gradients;
      for (std::uint32_t r = 0; r < replicas; ++r) gradients.push_back(ring.gradients(r));
      expect_identical(ring.reduce(gradients));
    }
  }
}

TEST(GradientSync, AddsAlongTheLeafTree) {
  Ring ring(4, "none");
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
  bent.tensors[0] = bent.tensors[0].reshape({3, 3});
  for (const Token* partner : {&late, &fewer, &bent}) {
    Token out;
    EXPECT_FALSE(ring.rig().run(ring.task(0), 1, {&own, partner}, {&out}).ok());
  }
}

}  // namespace
}  // namespace reef::actors
