#pragma once
// Which codec an edge should have: a pure function of the line as measured, of what the codecs do
// on this processor as measured, and of the error that the edge bears. Asked again when the line
// has changed, it changes its mind only for a gain that is worth it.

#include <optional>
#include <span>
#include <vector>

#include "ops/codec/codec.h"

namespace reef::codec {

/// What one codec did on a sample (measure.h).
struct Measured {
  Codec codec;
  double ratio = 1;           ///< encoded bytes over raw bytes
  double encode_seconds = 0;  ///< of one raw byte
  double decode_seconds = 0;
  double error = 0;  ///< length of what was lost over length of the sample

  bool operator==(const Measured&) const = default;
};

struct LineMeasured {
  double bits_per_second = 0;
  double round_trip_seconds = 0;
};

struct EdgeNeeds {
  double bytes = 0;          ///< of a message, raw
  double slots = 1;          ///< messages that may be under way
  double largest_error = 0;  ///< as Measured::error; 0: every bit
};

/// The time an edge needs for a message when many follow each other: the slowest of encoding,
/// decoding, the line at its rate, and a slot's way there and back. The three stages work at the
/// same time, and no codec makes a round trip shorter.
double seconds_per_message(const Measured& codec, const LineMeasured& line, const EdgeNeeds& edge);

/// A codec this much slower than the fastest is as good, if it loses less or packs less.
inline constexpr double kAsGood = 1.02;
/// What another codec must gain before an edge that has one is given it.
inline constexpr double kWorthAChange = 1.15;
/// Or how many times less it must lose, if it is as good.
inline constexpr double kWorthAnError = 2;

/// What a codec would be on an edge: whoever can only agree with others on such figures chooses by
/// them.
struct Candidate {
  Codec codec;
  double seconds = 0;  ///< for a message
  double work = 0;     ///< of the processors, for a raw byte
  double error = 0;
};
Candidate candidate(const Measured& codec, const LineMeasured& line, const EdgeNeeds& edge);

/// The fastest whose error is within bounds; of those as good as it, the one that loses least, then
/// the one that costs the processors least. `current` stays unless it is out of bounds or the
/// change is worth it, in time or in what is lost. Nothing when no codec is within bounds, or the
/// line has no rate.
std::optional<Measured> choose(std::span<const Measured> codecs, const LineMeasured& line,
                               const EdgeNeeds& edge,
                               const std::optional<Codec>& current = std::nullopt);
/// The same of candidates. Nothing when no codec is within bounds.
std::optional<Codec> choose(std::span<const Candidate> candidates, double largest_error,
                            const std::optional<Codec>& current = std::nullopt);

}  // namespace reef::codec
