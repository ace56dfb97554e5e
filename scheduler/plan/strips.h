#pragma once
// How tensor-parallel ranks share out a sum that all of them have: each sends one strip of its
// elements over a slow line, and those at the other end join them. Pure.

#include <cstdint>

namespace reef::plan {

/// A run of elements.
struct Strip {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

/// Of `elements`, those of ranks [first, first + count) of `ranks`.
constexpr Strip strip_of(std::uint64_t elements, std::uint32_t ranks, std::uint32_t first,
                         std::uint32_t count = 1) {
  const std::uint64_t begin = elements * first / ranks;
  return {begin, elements * (first + count) / ranks - begin};
}

/// The ranks whose strips a rank holds after so many exchanges, nearest first, begin here.
constexpr std::uint32_t first_held(std::uint32_t rank, std::uint32_t exchanges) {
  return rank >> exchanges << exchanges;
}

}  // namespace reef::plan
