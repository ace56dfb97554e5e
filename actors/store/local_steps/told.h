#pragma once
// What an update carries: what islands have told the home, as they encoded it, or their mean.
//
//     one after the other: u32 island | u32 last | u64 number | u64 tokens | u64 bytes | encoded
//
// A home passes on what it was told where that is not many times the bytes of the mean: then
// nothing is rounded twice, and whoever knows what he told himself need not hear it again. Of dense
// codecs and three islands or more it is more, and the home encodes the mean.

#include <cstdint>
#include <limits>
#include <vector>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::actors {

/// The island of what all have told together.
inline constexpr std::uint32_t kTogether = std::numeric_limits<std::uint32_t>::max();
/// Of one island in one update. Whoever begins anew again and again while a quorum is missing has
/// more, which wait for the next.
inline constexpr std::size_t kMostTellings = 8;

template <typename Encoded>
struct Telling {
  std::uint32_t island = 0;
  bool last = false;         ///< of all that the island tells, and encoded as such (of_last())
  std::uint64_t number = 0;  ///< of the island's tellings
  std::uint64_t tokens = 0;
  Encoded encoded{};
};
using Told = Telling<Bytes>;
using ToldView = Telling<BytesView>;

inline ToldView view_of(const Told& told) {
  return {told.island, told.last, told.number, told.tokens, told.encoded};
}

inline constexpr std::size_t kToldHeader = 32;

void append(Bytes& payload, const Told& told);

/// All of a payload, which outlives them. Failure: kProto for what no home of so many islands
/// passes on: more than kMostTellings of one, or not in their order, and more than one mean.
Result<std::vector<ToldView>> read_told(BytesView payload, std::uint32_t islands);

}  // namespace reef::actors
