#pragma once
// Encodes what islands tell each other of a fragment: their progress, and where a home does not
// pass that on (told.h) the mean of everybody's.

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

/// Thread: one at a time. Memory: the fragment once in f32 from the first encode() of a codec with
/// feedback, or encode_owing(), on.
class Coder {
 public:
  /// Of a fragment of these parameters. Precondition: the codec is not one that chooses.
  Coder(const codec::EdgeCodec& codec, const std::vector<codec::Matrix>& parts);

  /// What is left out of it is the caller's to tell later.
  Bytes encode(std::span<const float> values, bool last);
  /// `values`, and what is owed; what is rounded away is owed from now on (error feedback).
  /// Precondition: the codec has no feedback of its own.
  Bytes encode_owing(std::span<const float> values);
  /// What the other side encoded. Failure: kDecompress; kPoison for numbers over kMostTold.
  Status decode(BytesView encoded, bool last, std::span<float> values);

 private:
  codec::EdgeCodec codec_;
  std::size_t elements_ = 0;
  std::optional<codec::FeedbackCoder> sparse_;  ///< of codecs with feedback of their own
  codec::Feedback owed_;
};

}  // namespace reef::actors
