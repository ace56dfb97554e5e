#pragma once
// Top-k: of a whole tensor, or of each chunk of it, only the k values of largest magnitude travel;
// the rest stays in the owner's residual until it has grown large enough (error feedback,
// feedback.h).
//
//     u32 kept | u32 gap bytes | u32 encoded gap bytes | gaps | values
//
// gaps: for each kept value one byte with the number of elements between it and the one before, in
// front of it a byte 255 for each 255 of them; encoded as bytes, with zstd if the values are. So a
// position cannot come twice. values: the kept ones in this order, in a codec of their own. Zeros
// are never kept.

#include <span>

#include "ops/codec/codec.h"

namespace reef::codec {

struct TopK {
  double fraction = 0.01;  ///< of the elements that are kept, over 0 and at most 1
  Codec values{Lossy::kInt8, true};
  std::size_t chunk = 0;  ///< elements among which the largest are sought; 0: all

  bool operator==(const TopK&) const = default;
};

/// For pseudo-gradients of local steps (SparseLoCo, arXiv 2508.15706): 1/64 of the values takes
/// 1/190 of the bytes of fp32, less behind zstd. That paper has chunks of 4096; the largest of all
/// carry more of a tensor (docs/decisions/0026-two-bits-behind-top-k.md).
inline TopK top_k_in_two_bits(double fraction, std::size_t chunk = 0) {
  return {.fraction = fraction, .values = {Lossy::kInt2, true}, .chunk = chunk};
}

/// The most values that a tensor of so many elements keeps: ceil(fraction x elements), of chunks
/// their sum. It keeps fewer only if it has more zeros than that leaves room for.
std::size_t most_kept(const TopK& codec, std::size_t elements);
/// No encoding of a tensor of this many elements is longer.
std::size_t max_encoded_size(const TopK& codec, std::size_t elements);

/// Encodes and decodes with buffers of its own, which grow to a few times k and are kept.
/// Thread: one at a time. Order: none; every encoding is decoded by itself.
class TopKCoder {
 public:
  explicit TopKCoder(TopK codec) : codec_(codec) {}

  /// Replaces `out` by the encoding of the exactly k largest of values + residual (of each chunk of
  /// them), ties to the lower position, and leaves in `residual` what was not sent: the others, and
  /// of those kept what their codec rounded away. A value that is not finite is among the largest,
  /// so that the receiver sees it; its residual becomes 0, that it may be seen once. Equal input
  /// gives equal bytes, on every instruction set.
  void encode(std::span<const float> values, std::span<float> residual, Bytes& out);
  /// The same without memory: what is not sent is lost.
  void encode(std::span<const float> values, Bytes& out);

  /// Fills `out`; what was not sent is 0. Failure: kDecompress for anything but an encoding of that
  /// many elements (positions out of range, more values than the fraction allows), found before
  /// memory is taken; `out` is then unspecified.
  Status decode(BytesView encoded, std::span<float> out);
  /// The same, but adds `factor` times each value that was sent. After a failure `sum` is as it
  /// was.
  Status decode_add(BytesView encoded, float factor, std::span<float> sum);

 private:
  std::uint32_t threshold_of(std::span<const float> values, std::span<const float> residual,
                             std::size_t k);
  void select(std::span<const float> values, std::span<float> residual);
  bool collect(std::span<const float> values, std::span<float> residual, std::uint32_t threshold,
               std::size_t room);
  void collect_exactly(std::span<const float> values, std::size_t k);
  void select_in_chunks(std::span<const float> values, std::span<float> residual);
  void append_largest(std::span<const float> part, std::size_t at);
  void keep_largest(std::size_t first, std::size_t k);
  void write(Bytes& out);
  Status read(BytesView encoded, std::size_t elements);
  Status place(std::size_t elements);
  std::span<const std::uint32_t> positions() const { return std::span(positions_).first(count_); }
  std::span<float> kept() { return std::span(kept_).first(count_); }

  TopK codec_;
  std::vector<std::uint32_t> magnitudes_;
  // Of candidates, then of kept values; both only grow, and the first count_ are meant.
  std::vector<std::uint32_t> positions_;  ///< ascending
  std::vector<float> kept_;
  std::size_t count_ = 0;
  Bytes gaps_, packed_;
};

}  // namespace reef::codec
