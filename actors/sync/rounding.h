#pragma once
// What a replica gives away at one exchange of the gradient sync. A codec that rounds changes the
// sum, and both partners must go on with the same numbers: the giver keeps what the taker will see.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ops/codec/edge.h"
#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"
#include "runtime/register/token.h"

namespace reef::actors {

/// Thread: one at a time. Memory: with error feedback the residual, as long as the tensors.
class Rounding {
 public:
  /// Of tensors of these shapes, f32. `codec`: the edge's. Failure: kJobValue for what is none.
  static Result<std::unique_ptr<Rounding>> make(const std::string& codec,
                                                std::span<const ops::Shape> shapes);

  /// Replaces the tensors by what a receiver will see, all as one run of elements, since neighbours
  /// share a scale; the old ones stay as they were. Returns how that looks on a wire, or null if it
  /// does not `travel`. Failure: kTensor for other shapes.
  Result<std::shared_ptr<const Encoded>> round(ops::Context& context,
                                               std::vector<ops::Tensor>& tensors, bool travel);

  /// From now on through this one. Only where the edge's codec is "auto".
  void use(codec::Codec codec);

  /// What it remembers from one round to the next; undefined without error feedback. Of sizes that
  /// begin() gave it.
  std::optional<codec::Feedback>& feedback() { return feedback_; }

 private:
  Rounding(std::string name, codec::EdgeCodec codec, std::span<const ops::Shape> shapes);
  Status pass(std::span<float> values, bool travel, Bytes& payload);

  std::string name_;
  codec::EdgeCodec codec_;
  std::vector<ops::Shape> shapes_;
  std::int64_t elements_ = 0;
  std::optional<codec::FeedbackCoder> coder_;
  std::optional<codec::Feedback> feedback_;
};

}  // namespace reef::actors
