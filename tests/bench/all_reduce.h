#pragma once
// What both sides of the all-reduce comparison share: processes, timing, the check, the answer.
//
//   PROGRAM --folder F --world W --mib N --rounds R ...
//
// prints one line {"seconds": [...]}: of each timed round, the time that its slowest member took,
// all having begun together.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace reef::bench {

struct AllReduceRun {
  std::string folder;  ///< exists, is empty, and is of this run alone
  unsigned world = 2;
  unsigned mib = 4;
  unsigned rounds = 10;

  void add_to(CLI::App& app) {
    app.add_option("--folder", folder)->required();
    app.add_option("--world", world);
    app.add_option("--mib", mib);
    app.add_option("--rounds", rounds);
  }
};

/// Adds up everybody's values, in place; false when it failed.
using AllReduce = std::function<bool(float* values, std::size_t count)>;

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// One member; its times go to `seconds`, which the parent reads.
inline int all_reduce_member(const AllReduceRun& run, unsigned rank, const AllReduce& all_reduce,
                             double* seconds) {
  constexpr unsigned kWarmup = 3;
  std::vector<float> values(std::size_t{run.mib} << 18), flag(1);
  for (unsigned round = 0; round < run.rounds + kWarmup; ++round) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>((i + rank + round) % 1024);
    if (!all_reduce(flag.data(), 1)) return 1;  // begin together
    const double began = now();
    if (!all_reduce(values.data(), values.size())) return 1;
    if (round >= kWarmup) seconds[round - kWarmup] = now() - began;
    for (std::size_t i = 0; i < values.size(); i += 97) {
      float right = 0;
      for (unsigned other = 0; other < run.world; ++other)
        right += static_cast<float>((i + other + round) % 1024);
      if (values[i] != right) return 2;
    }
  }
  return 0;
}

/// `join` is called in each member's process.
inline int all_reduce_main(const AllReduceRun& run,
                           const std::function<AllReduce(unsigned rank)>& join) {
  const std::size_t size = sizeof(double) * run.world * run.rounds;
  auto* const seconds = static_cast<double*>(
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (seconds == MAP_FAILED) return 1;
  for (unsigned rank = 0; rank < run.world; ++rank) {
    if (::fork() == 0)
      ::_exit(all_reduce_member(run, rank, join(rank), seconds + std::size_t{rank} * run.rounds));
  }
  bool good = true;
  for (unsigned rank = 0; rank < run.world; ++rank) {
    int status = 0;
    good = ::wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 && good;
  }
  if (!good) {
    fmt::print(stderr, "a member failed, or its sums were wrong\n");
    return 1;
  }
  std::vector<double> slowest(run.rounds);
  for (unsigned round = 0; round < run.rounds; ++round) {
    for (unsigned rank = 0; rank < run.world; ++rank)
      slowest[round] = std::max(slowest[round], seconds[std::size_t{rank} * run.rounds + round]);
  }
  fmt::print("{{\"seconds\": [{}]}}\n", fmt::join(slowest, ", "));
  return 0;
}

}  // namespace reef::bench
