#pragma once
// The codec of a wire edge, applied to what its tensors are made of: fp32 and bf16 are packed as
// such, all else as bytes that arrive as they are.

#include <optional>
#include <span>

#include "ops/codec/edge.h"
#include "ops/tensor/dtype.h"
#include "ops/tensor/shape.h"
#include "runtime/register/token.h"
#include "scheduler/plan/plan.h"

namespace reef::actors {

/// Replaces `out` by the encoding of `raw`, elements of `dtype`.
void encode(codec::Codec codec, ops::DType dtype, BytesView raw, Bytes& out);
/// Fills `out`. Failure: kDecompress for anything but one encoding of as many elements.
Status decode(codec::Codec codec, ops::DType dtype, BytesView encoded, std::span<std::byte> out);

/// The parts that the tensors of a message are for a codec with feedback.
std::vector<codec::Matrix> parts_of(std::span<const ops::Shape> shapes);

/// Decodes what arrives on one wire edge, believing nothing of it. Thread: one at a time.
class EdgeDecoder {
 public:
  /// Failure: kJobValue for an edge whose codec is none.
  static Result<EdgeDecoder> make(const plan::Edge& wire);

  /// Fills `out`, which is as long as `shapes` say. Failure: kProto for another codec than the
  /// edge's, kDecompress for anything but one encoding in it.
  Status decode(const Encoded& encoded, std::span<const ops::Shape> shapes,
                std::span<std::byte> out);

 private:
  EdgeDecoder(const plan::Edge& wire, codec::EdgeCodec codec)
      : name_(wire.codec), dtype_(wire.dtype), codec_(codec) {}
  Result<codec::Codec> stateless(const std::string& name) const;

  std::string name_;
  ops::DType dtype_;
  codec::EdgeCodec codec_;
  std::vector<codec::Matrix> parts_;
  std::optional<codec::FeedbackCoder> coder_;  ///< of `parts_`
};

}  // namespace reef::actors
