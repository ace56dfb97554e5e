#include "runtime/app/measured.h"

#include <gtest/gtest.h>

#include "ops/cpu/thread_pool.h"

namespace reef::app {
namespace {

TEST(WithProfiles, FillsInWhatTheTopologyDoesNotSayOfNodesHere) {
  const machine::Profiles profiles{{2, {"b", {1e9, 1e9, 3e9}, {1e9, 1e9, 5e9}, 7e9}}};
  topology::Topology topology;
  const auto add = [&topology](const std::string& address, std::uint32_t threads,
                               topology::Device device) {
    topology::Node node;
    node.address = address;
    node.threads = threads;
    node.device = device;
    topology.nodes.push_back(node);
  };
  add("127.0.0.1", 2, {});
  add("localhost", 2, {0, 9e9, false});
  add("127.0.0.1", 2, {4e9, 0, true});
  add("127.0.0.1", 3, {});
  add("elsewhere", 2, {});
  const auto measured = with_profiles(topology, profiles, nn::Precision::kBF16);
  EXPECT_EQ(measured.nodes[0].device, (topology::Device{5e9, 7e9, false}));
  EXPECT_EQ(measured.nodes[1].device, (topology::Device{5e9, 9e9, false}));
  for (const std::size_t i : {2, 3, 4}) EXPECT_EQ(measured.nodes[i], topology.nodes[i]) << i;
  EXPECT_EQ(with_profiles(topology, profiles, nn::Precision::kF32).nodes[0].device.speed, 3e9);
}

TEST(MeasureProfile, TimesBlocksAndMemory) {
  nn::GptConfig tiny;
  tiny.vocab_size = 64;
  tiny.n_positions = 16;
  tiny.n_embd = 32;
  tiny.n_head = 2;
  ops::ThreadPool context(1);
  const machine::Profile profile = measure_profile(context, tiny, 2, 16);
  EXPECT_EQ(profile.block, "gpt2 of width 32, 2 x 16 tokens");
  for (const machine::Rates& rates : {profile.fp32, profile.bf16}) {
    EXPECT_GT(rates.products, 0);
    EXPECT_GT(rates.attention, 0);
    EXPECT_GT(rates.block, 0);
  }
  EXPECT_GT(profile.bandwidth, 0);
}

}  // namespace
}  // namespace reef::app
