#pragma once
// What islands have brought to one update of a fragment, and the mean of it. The home and whoever
// takes the update add the same in the same order, so that both have the same bits.

#include <cstdint>
#include <span>
#include <vector>

namespace reef::actors {

/// Thread: one at a time. Memory: of each island that has ever brought something as many f32 as the
/// fragment; kept.
class Contributions {
 public:
  void begin(std::uint32_t islands, std::size_t elements);

  /// One more telling of an island: what comes twice is one longer way, of all its tokens.
  /// Precondition: as many values as begin() said, in the order of the island's tellings.
  void add(std::uint32_t island, std::uint64_t tokens, std::span<const float> progress);
  bool has(std::uint32_t island) const { return islands_[island].brought; }

  /// The pseudo-gradient: the mean of islands by the tokens that each has seen. False: of no tokens
  /// at all, and zeros. Precondition: as many values as begin() said.
  bool mean(std::span<float> mean) const;
  /// Nobody has brought anything.
  void clear();

 private:
  struct Whole {
    bool brought = false;
    std::uint64_t tokens = 0;
    std::vector<float> progress{};
  };
  std::size_t elements_ = 0;
  std::vector<Whole> islands_;
};

}  // namespace reef::actors
