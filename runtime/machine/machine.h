#pragma once
// What this machine consists of, by hwloc. Where the environment sets HWLOC_SYNTHETIC, such as
// "package:2 numa:1 core:4 pu:2", hwloc describes that machine instead, and so does this.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/error.h"

namespace reef::machine {

struct Cache {
  std::uint32_t level = 1;
  std::uint64_t bytes = 0;  ///< of one, for data
  std::uint32_t count = 0;
  bool operator==(const Cache&) const = default;
};

struct NumaNode {
  std::uint32_t index = 0;
  std::uint64_t memory = 0;
  std::uint32_t cores = 0;
  bool operator==(const NumaNode&) const = default;
};

struct Machine {
  bool real = true;  ///< this machine, not one that HWLOC_SYNTHETIC makes up
  std::uint32_t packages = 0;
  std::uint32_t cores = 0;
  std::uint32_t threads = 0;  ///< that the hardware runs at once
  std::uint64_t memory = 0;
  std::vector<Cache> caches;  ///< by level
  std::vector<NumaNode> numa;
};

/// kIo when hwloc fails, which says no more than that.
Result<Machine> discover();

/// "2 packages, 8 cores, 16 threads, 32.0 GiB".
std::string text_of(const Machine& machine);

}  // namespace reef::machine
