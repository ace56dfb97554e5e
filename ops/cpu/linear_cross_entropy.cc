// The language-model head with its loss: logits of a block of rows at a time.
//
// A block holds its rows' logits for the whole vocabulary, so that each is computed once. Roads not
// taken: blocks of the vocabulary, too, would need the logits twice, a third more work; blocks of
// fewer rows read and write the weight's gradient, which is far larger, more often than it is
// worth.

#include <algorithm>

#include "ops/cpu/cross_entropy.h"
#include "ops/cpu/gemm/gemm.h"
#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

/// Logits of one block of rows, 32 MiB, as much as a product may pack; they decide how many rows it
/// has, within these limits. Half as many cost 10 % of the time with a vocabulary of 50,000.
constexpr Index kBlockLogits = Index{1} << 23;
constexpr Index kLeastRows = 64;
constexpr Index kMostRows = 1024;
/// Elements of the weight that one product packs, which bounds its scratch: 4 MiB.
constexpr Index kBlockWeight = Index{1} << 20;
/// Rows whose losses one task computes.
constexpr Index kLossRows = 4;

Index rows_of_block(Index vocabulary) {
  const Index fit = kBlockLogits / std::max<Index>(1, vocabulary) / kRows * kRows;
  return std::clamp(fit, kLeastRows, kMostRows);
}

/// Words whose part of the weight is one block of it.
Index words_of_block(Index width) {
  return std::max(kRows, kBlockWeight / std::max<Index>(1, width) / kRows * kRows);
}

/// The walk over blocks of rows. Logits and sums are f32; for bf16 operands the slopes are rounded
/// to it, as they would be between separate ops, each row where its logits have been.
class Head {
 public:
  explicit Head(const Call& call)
      : call_(call),
        dtype_(call.in[0].dtype()),
        rows_(call.in[0].shape().rows()),
        width_(call.in[0].shape().back()),
        vocabulary_(call.in[1].shape()[0]),
        block_rows_(std::min(rows_, rows_of_block(vocabulary_))),
        logits_(floats(block_rows_ * vocabulary_)),
        x_sums_(floats(is_narrow() ? block_rows_ * width_ : 0)) {}

  void run() {
    for (Index first = 0; first < rows_; first += block_rows_) {
      const Index count = std::min(block_rows_, rows_ - first);
      multiply_logits(first, count);
      find_slopes(first, count);
      multiply_x_grad(first, count);
      multiply_weight_grad(first, count);
    }
  }

 private:
  bool is_narrow() const { return dtype_ == DType::kBF16; }

  std::shared_ptr<std::byte> floats(Index count) const {
    return call_.context.pool().allocate(static_cast<std::size_t>(count) * sizeof(float));
  }
  float* logits() const { return reinterpret_cast<float*>(logits_.get()); }
  /// Where x's gradient is summed in f32: in the result, unless that is narrower.
  float* x_sums(Index first) const {
    return is_narrow() ? reinterpret_cast<float*>(x_sums_.get())
                       : call_.out[1].data<float>() + first * width_;
  }

  std::byte* row_of(const Tensor& tensor, Index row) const {
    return tensor.raw() + row * width_ * static_cast<Index>(size_of(dtype_));
  }
  Operand x(Index first) const { return {row_of(call_.in[0], first), dtype_, width_, 1}; }
  Operand weight(Index word) const { return {row_of(call_.in[1], word), dtype_, width_, 1}; }
  /// (rows, words from `word` on)
  Operand slopes(Index word) const {
    return {logits_.get() + word * static_cast<Index>(size_of(dtype_)), dtype_,
            is_narrow() ? 2 * vocabulary_ : vocabulary_, 1};
  }
  static Operand transposed(const Operand& a) {
    return {a.data, a.dtype, a.column_stride, a.row_stride};
  }

  /// Calls body(first, count) for each block of words, in order.
  template <typename Body>
  void for_words(const Body& body) const {
    const Index block = words_of_block(width_);
    for (Index word = 0; word < vocabulary_; word += block) {
      body(word, std::min(block, vocabulary_ - word));
    }
  }

  /// logits = x weight^T
  void multiply_logits(Index first, Index count) const {
    for_words([&](Index word, Index words) {
      gemm(call_.context, {.rows = count,
                           .columns = words,
                           .inner = width_,
                           .a = x(first),
                           .b = transposed(weight(word)),
                           .c = {logits() + word, DType::kF32, vocabulary_}});
    });
  }

  void find_slopes(Index first, Index count) const {
    const auto scale = static_cast<float>(call_.attributes.scale);
    const std::int32_t* targets = call_.in[2].data<std::int32_t>() + first;
    double* losses = call_.out[0].data<double>() + first;
    for_tiles(call_.context, count, kLossRows, [&](Index begin, Index number) {
      for (Index row = begin; row < begin + number; ++row) {
        float* x = logits() + row * vocabulary_;
        losses[row] = cross_entropy_of({.columns = vocabulary_,
                                        .logits = x,
                                        .target = targets[row],
                                        .scale = scale,
                                        .grad = x});
        if (is_narrow()) vector_kernels().to_bf16(vocabulary_, x, x);
      }
    });
  }

  /// x grad = slopes weight
  void multiply_x_grad(Index first, Index count) const {
    float* sums = x_sums(first);
    if (vocabulary_ == 0) std::fill_n(sums, count * width_, 0.0f);
    for_words([&](Index word, Index words) {
      gemm(call_.context, {.rows = count,
                           .columns = width_,
                           .inner = words,
                           .a = slopes(word),
                           .b = weight(word),
                           .c = {sums, DType::kF32, width_},
                           .accumulate = word > 0});
    });
    if (!is_narrow()) return;
    for_tiles(call_.context, count, kRows, [&](Index begin, Index number) {
      vector_kernels().to_bf16(number * width_, sums + begin * width_,
                               row_of(call_.out[1], first + begin));
    });
  }

  /// weight grad += slopes^T x
  void multiply_weight_grad(Index first, Index count) const {
    gemm(call_.context, {.rows = vocabulary_,
                         .columns = width_,
                         .inner = count,
                         .a = transposed(slopes(0)),
                         .b = x(first),
                         .c = {call_.out[2].raw(), DType::kF32, width_},
                         .accumulate = first > 0});
  }

  const Call& call_;
  const DType dtype_;
  const Index rows_, width_, vocabulary_, block_rows_;
  const std::shared_ptr<std::byte> logits_;  ///< (block rows, V)
  const std::shared_ptr<std::byte> x_sums_;  ///< (block rows, C) for bf16
};

}  // namespace

void linear_cross_entropy(const Call& call) {
  if (call.in[0].shape().rows() == 0) {
    std::fill_n(call.out[2].data<float>(), call.out[2].elements(), 0.0f);
    return;
  }
  Head(call).run();
}

}  // namespace reef::ops::cpu
