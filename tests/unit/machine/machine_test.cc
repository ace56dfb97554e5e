#include "runtime/machine/machine.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <numeric>

namespace reef::machine {
namespace {

/// HWLOC_SYNTHETIC for one test.
class Synthetic {
 public:
  explicit Synthetic(const char* description) { ::setenv("HWLOC_SYNTHETIC", description, 1); }
  ~Synthetic() { ::unsetenv("HWLOC_SYNTHETIC"); }
};

TEST(Machine, IsWhatHwlocIsToldToMakeUp) {
  const Synthetic synthetic("package:2 numa:1 l3:1 core:4 pu:2");
  const auto machine = discover();
  ASSERT_TRUE(machine.ok()) << machine.error().text();
  EXPECT_FALSE(machine->real);
  EXPECT_EQ(machine->packages, 2u);
  EXPECT_EQ(machine->cores, 8u);
  EXPECT_EQ(machine->threads, 16u);
  ASSERT_EQ(machine->caches.size(), 1u);
  EXPECT_EQ(machine->caches[0].level, 3u);
  EXPECT_EQ(machine->caches[0].count, 2u);
  ASSERT_EQ(machine->numa.size(), 2u);
  EXPECT_EQ(machine->numa[1].index, 1u);
  EXPECT_EQ(machine->numa[1].cores, 4u);
  EXPECT_EQ(machine->numa[0].memory + machine->numa[1].memory, machine->memory);
  EXPECT_EQ(text_of(*machine).substr(0, 32), "2 packages, 8 cores, 16 threads,");
}

TEST(Machine, IsThisOneOtherwise) {
  const auto machine = discover();
  ASSERT_TRUE(machine.ok()) << machine.error().text();
  EXPECT_TRUE(machine->real);
  EXPECT_GE(machine->cores, 1u);
  EXPECT_GE(machine->threads, machine->cores);
  EXPECT_GT(machine->memory, std::uint64_t{64} << 20);
}

}  // namespace
}  // namespace reef::machine
