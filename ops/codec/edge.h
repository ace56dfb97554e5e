#pragma once
// What an edge of the plan may be given as its codec: one without state (codec.h), one with error
// feedback (top_k.h, power_sgd.h), or the order to choose among the first kind while the job runs
// (choose.h).

#include <string>
#include <string_view>
#include <variant>

#include "ops/codec/codec.h"
#include "ops/codec/power_sgd.h"
#include "ops/codec/top_k.h"

namespace reef::codec {

/// Whichever codec without state is fastest on the line as it is now and loses no more than this.
struct Automatic {
  double error = 0.01;  ///< length of what is lost over length of what is sent; 0: every bit

  bool operator==(const Automatic&) const = default;
};

using EdgeCodec = std::variant<Codec, TopK, PowerSgd, Automatic>;

inline constexpr std::size_t kMostRank = 64;
inline constexpr std::size_t kLeastChunk = 64;
inline constexpr std::size_t kMostChunk = std::size_t{1} << 20;

/// What parse() reads but for int2, "top-k:FRACTION[/CHUNK][:CODEC]", "power-sgd:RANK[:CODEC]"
/// (CODEC: of the kept values, of which int2 is one, or of the factors) or "auto[:ERROR]". Failure:
/// kJobValue, listing them.
Result<EdgeCodec> parse_edge(std::string_view text);
/// The text that parse_edge() reads back.
std::string name(const EdgeCodec& codec);

/// What an edge that chooses begins with, before it knows its line: bf16 if it may lose as much,
/// with zstd.
Codec first_choice(const Automatic& codec);

/// Whether it needs a residual. Those codecs are for fp32 alone.
bool has_feedback(const EdgeCodec& codec);
/// Whether fp32 may arrive as another number.
bool rounds(const EdgeCodec& codec);

/// How a tensor of this shape is cut into factors: by its last axis, if it has two; vectors and the
/// rest are one row.
Matrix matrix_of(std::span<const std::int64_t> shape);
/// What begin() makes room for beside the residual.
std::size_t warm_elements(const EdgeCodec& codec, std::span<const Matrix> parts);

/// Encodes and decodes messages of the same parts, with a codec that has feedback.
/// Thread: one at a time.
class FeedbackCoder {
 public:
  /// `codec` has feedback.
  FeedbackCoder(const EdgeCodec& codec, std::vector<Matrix> parts);

  std::size_t elements() const { return elements_; }
  /// What an owner begins with.
  Feedback begin() const;
  /// As TopKCoder::encode() and PowerSgdCoder::encode().
  void encode(std::span<const float> values, Feedback& feedback, Bytes& out);
  /// As theirs. Failure: kDecompress.
  Status decode(BytesView encoded, std::span<float> out);

 private:
  using Coder = std::variant<TopKCoder, PowerSgdCoder>;
  static Coder make(const EdgeCodec& codec, std::vector<Matrix> parts);

  std::size_t elements_;
  Coder coder_;
};

}  // namespace reef::codec
