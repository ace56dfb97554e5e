#pragma once
// Which calls are alike enough to share a measurement.

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "ops/catalog/catalog.h"

namespace reef::ops::tune {

/// What the time of a call depends on: op, device, dtype, the shapes, dtypes and layouts of all
/// tensors, the attributes that change how much is done (not: seeds, rates, positions), and the
/// number of threads. As words, because it is built and looked up on every call with candidates.
/// Updates in place, which may have hundreds of tensors, are told apart by their elements.
class CallKey {
 public:
  CallKey(const Key& key, const Call& call);

  CallKey(const CallKey&) = delete;
  CallKey& operator=(const CallKey&) = delete;

  std::span<const std::uint64_t> words() const { return {words_.data(), count_}; }

 private:
  void add(std::uint64_t word) { words_[count_++] = word; }
  void add(const Tensor& tensor);

  static constexpr std::size_t kMaxWords =
      2 + 9 + (kMaxInputs + kMaxOutputs) * (1 + Shape::kMaxRank);
  std::size_t count_ = 0;
  std::array<std::uint64_t, kMaxWords> words_;  ///< the first count_ of them
};

/// The same for people and for the cache:
/// "matmul on cpu for f32, row-major: nt gelu, f32 (128, 192) f32 (768, 192) -> f32 (128, 768), 2
/// threads".
std::string text_of(const Key& key, const Call& call);

}  // namespace reef::ops::tune
