#pragma once
// Encodes what islands tell each other of a fragment so that nothing is lost for good: what the
// codec rounds away or leaves out is added to what is encoded next (error feedback).

#include <optional>
#include <span>
#include <vector>

#include "ops/codec/edge.h"
#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::actors {

/// What islands tell each other is no larger, so that sums of it are numbers for everybody.
inline constexpr float kMostTold = 1e18F;

/// Thread: one at a time. Memory: the fragment once in f32, unless the codec loses nothing.
class Coder {
 public:
  /// Of a fragment of these parameters. Precondition: the codec is not one that chooses.
  Coder(const codec::EdgeCodec& codec, const std::vector<codec::Matrix>& parts);

  /// `values` and what is owed; what is not in the result is owed from now on.
  Bytes encode(std::span<const float> values);
  /// What the other side encoded. Failure: kDecompress; kPoison for numbers over kMostTold.
  Status decode(BytesView encoded, std::span<float> values);
  /// Empty if the codec loses nothing.
  std::span<const float> owed() const { return owed_.residual; }

 private:
  codec::EdgeCodec codec_;
  std::optional<codec::FeedbackCoder> sparse_;  ///< of codecs with feedback of their own
  codec::Feedback owed_;
};

}  // namespace reef::actors
