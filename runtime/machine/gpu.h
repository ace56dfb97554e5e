#pragma once
// The NVIDIA GPUs of this machine, by NVML, which is loaded when it is there: nothing of ours links
// it, since most machines have none.

#include <cstdint>
#include <string>
#include <vector>

namespace reef::machine {

struct Gpu {
  std::string name;
  std::uint64_t memory = 0;
};

struct Gpus {
  std::vector<Gpu> found;
  std::string none_because;  ///< one line, where none is found
};

/// `library` is NVML by name or path. Never fails: a driver that does not answer is a reason.
Gpus discover_gpus(const std::string& library = "libnvidia-ml.so.1");

}  // namespace reef::machine
