#pragma once
// The codec of an edge that chooses ("auto:0.01"): measured on what it carries, held against what
// its line gives, and chosen again when that changes.

#include <span>
#include <vector>

#include "ops/codec/choose.h"
#include "ops/codec/edge.h"
#include "ops/tensor/context.h"
#include "runtime/base/clock.h"
#include "runtime/link/line_meter.h"
#include "scheduler/plan/plan.h"

namespace reef::actors {

/// Thread: one at a time.
class CodecChoice {
 public:
  /// `wire`: of f32 or bf16. The clock outlives it.
  CodecChoice(codec::Automatic codec, const plan::Edge& wire, const Clock& clock);

  codec::Codec codec() const { return codec_; }

  /// What each codec would be on this line; its seconds are 0 while nothing is known of the line.
  /// Always the same codecs in the same order. Measures them on `tensors` (whose dtype is the
  /// edge's, on the context's device or the host) at first and every hundredth time, which takes
  /// some tens of milliseconds.
  std::vector<codec::Candidate> candidates(ops::Context& context, const link::LineNow& line,
                                           std::span<const ops::Tensor> tensors);
  /// Chooses among them. Whoever decides by the same figures from the same codec chooses alike.
  /// True if it is another one than before; without a known line it stays.
  bool decide(std::span<const codec::Candidate> candidates);

 private:
  codec::EdgeNeeds needs_;
  codec::Codec codec_;
  ops::DType dtype_;
  const Clock& clock_;
  std::vector<codec::Measured> measured_;
  std::uint64_t asked_ = 0;
};

}  // namespace reef::actors
