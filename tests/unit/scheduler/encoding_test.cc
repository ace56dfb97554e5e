#include "scheduler/plan/encoding.h"

#include "samples.h"
#include "scheduler/plan/live.h"
#include "scheduler/plan/validate.h"

namespace reef::plan {
namespace {

TEST(Encoding, RoundTrips) {
  for (const std::uint32_t nodes : {1, 4}) {
    job::Job job = sample_job(2, 2);
    job.parallelism.zero_stage = nodes == 4 ? 2 : 0;
    job.training.precision = nn::Precision::kBF16;
    auto topology = sample_topology(nodes);
    topology.nodes[0].ucx = "shm,lo";
    topology.nodes[0].device = {40e9, 4e9, true, {"cuda", 3}};
    const Plan plan = make_plan(job, topology).value();
    const auto again = decode(encode(plan));
    ASSERT_TRUE(again.ok()) << again.error().text();
    EXPECT_EQ(*again, plan);
  }
}

/// What a node does with bytes of a peer.
void receive(BytesView bytes) {
  const auto plan = decode(bytes);
  if (!plan.ok()) {
    EXPECT_EQ(plan.error().code, Code::kProto);
    return;
  }
  if (validate(*plan).ok()) (void)prove_live(*plan);
}

TEST(Encoding, FlippedBitsOfAShardedPlanNeverCrash) {
  job::Job job = sample_job(2, 1);
  for (const std::uint32_t zero_stage : {1, 2}) {
    job.parallelism.zero_stage = zero_stage;
    const Bytes good = encode(make_plan(job, sample_topology(1)).value());
    for (std::size_t bit = 0; bit < good.size() * 8; bit += 29) {
      Bytes bytes = good;
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      receive(bytes);
    }
  }
}

TEST(Encoding, EveryPrefixIsRefused) {
  const Bytes bytes = encode(sample_plan(1, 1, 1));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode(BytesView(bytes).first(length)).ok()) << length;
  }
}

TEST(Encoding, FlippedBitsNeverCrash) {
  const Bytes good = encode(sample_plan(1, 1, 1));
  for (std::size_t bit = 0; bit < good.size() * 8; bit += 3) {
    Bytes bytes = good;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    receive(bytes);
  }
}

}  // namespace
}  // namespace reef::plan
