#pragma once
// Which window of the text a sample is: a pure function of (seed, step, sample), so that any node
// can take any sample at any time, a restart needs no state beside the step, and nothing is drawn
// twice before everything was drawn once.
//
// The text is cut into windows of T tokens; sample number k = step * global_batch + sample belongs
// to epoch k / windows and is, in it, window permute(epoch, k % windows). The permutation is a
// four-round Feistel network on the smallest even number of bits that can number the windows, with
// Philox as its round function; a value outside the range is sent through again until it falls
// inside ("cycle walking", under four rounds on average). It needs no table, so an epoch of 10^12
// windows costs what one of ten costs.

#include <array>
#include <cstdint>

#include "runtime/base/error.h"

namespace reef::data {

class DataOrder {
 public:
  /// `window` is T. A sample reads T + 1 tokens from its position: inputs and, one later, targets;
  /// so neighbouring windows share one token. kData when the split is shorter than one sample.
  static Result<DataOrder> make(std::uint64_t seed, std::uint64_t tokens, std::uint64_t window,
                                std::uint64_t global_batch);

  /// The first token of a sample; `sample` is its index in the global batch.
  std::uint64_t position(std::uint64_t step, std::uint64_t sample) const;
  /// The window at place `index` of an epoch; a permutation of [0, windows()) for each epoch.
  std::uint64_t permute(std::uint64_t epoch, std::uint64_t index) const;

  std::uint64_t epoch(std::uint64_t step, std::uint64_t sample = 0) const;
  std::uint64_t windows() const { return windows_; }

 private:
  DataOrder() = default;
  std::uint64_t shuffle(std::uint64_t epoch, std::uint64_t value) const;

  std::array<std::uint32_t, 2> key_{};
  std::uint64_t window_ = 0;
  std::uint64_t windows_ = 0;
  std::uint64_t global_batch_ = 0;
  unsigned half_bits_ = 0;
};

/// The first token of the `index`-th held-out sample. The held-out text is read in its order and
/// then over again, window after window. Precondition: it has one window of `window` tokens and the
/// target behind it.
std::uint64_t held_out_position(std::uint64_t tokens, std::uint64_t window, std::uint64_t index);

}  // namespace reef::data
