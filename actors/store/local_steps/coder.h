#pragma once
// Encodes what islands tell each other of a fragment: their progress, and the mean of everybody's.

#include <optional>
#include <span>
#include <vector>

#include "ops/codec/edge.h"
#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::actors {

/// What islands tell each other is no larger, so that sums of it are numbers for everybody.
inline constexpr float kMostTold = 1e18F;
/// So far below that, that momentum over it is, too.
inline constexpr float kMostProgress = 1e15F;

/// The last of all is not to leave anything out, since nothing comes after it that would make up
/// for it: instead of a codec with feedback it is encoded in int8.
codec::Codec of_last(const codec::EdgeCodec& codec);

/// Thread: one at a time. Memory: the fragment once in f32 from the first encode() on, unless the
/// codec loses nothing, and of a codec with feedback from any.
class Coder {
 public:
  /// Of a fragment of these parameters. Precondition: the codec is not one that chooses.
  Coder(const codec::EdgeCodec& codec, const std::vector<codec::Matrix>& parts);

  /// `values`, and what is owed; what is not in the result is owed from now on (error feedback).
  Bytes encode(std::span<const float> values, bool last);
  /// `values` alone. For whoever tells the rest another way; never beside encode().
  Bytes encode_alone(std::span<const float> values, bool last);
  /// What the other side encoded. Failure: kDecompress; kPoison for numbers over kMostTold.
  Status decode(BytesView encoded, bool last, std::span<float> values);

 private:
  void begin();

  codec::EdgeCodec codec_;
  std::size_t elements_ = 0;
  std::optional<codec::FeedbackCoder> sparse_;  ///< of codecs with feedback of their own
  codec::Feedback owed_;
};

}  // namespace reef::actors
