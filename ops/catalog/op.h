#pragma once
// Every op of the library, with its signature. Names of arguments: x, a, b, c tensors of any
// floating dtype unless said otherwise; "rows" are all extents but the last.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/base/error.h"

namespace reef::ops {

enum class Op : std::uint8_t {
  // Dense (rules/dense.cc)
  kMatmul,              ///< (a, b[, bias[, residual]]) -> c[, before activation]: rows times matrix
  kBatchMatmul,         ///< (a (.., M, K), b (.., K, N)) -> (.., M, N), one batch shape
  kColumnSum,           ///< (x) -> sum over rows, f32 or f64
  kLinearCrossEntropy,  ///< (x (N, C), weight (V, C), targets i32 (N)) -> (losses f64, x grad,
                        ///< weight grad f32 or f64); never all probabilities at once
  // Attention (rules/attention.cc); q (B, T, H, D), k and v (B, S, G, D), mask per key
  kAttention,      ///< (q, k, v[, lengths i32 (B) | visible bool (B, S)]) -> (out, log-sum-exp)
  kAttentionGrad,  ///< (q, k, v, out, log-sum-exp, grad[, mask]) -> (q, k, v grads)
  kRope,           ///< (x (B, T, H, D)) -> x rotated by position
  // Rows (rules/rows.cc)
  kLayerNorm,         ///< (x, weight, bias) -> (y, statistics f32 (rows, 2))
  kLayerNormGrad,     ///< (x, weight, statistics, grad[, sum grad]) -> (x, weight, bias grads)
  kAddLayerNorm,      ///< (a, b, weight, bias) -> (y, a + b, statistics)
  kRmsNorm,           ///< (x, weight) -> (y, inverse root mean square f32 (rows))
  kRmsNormGrad,       ///< (x, weight, inverse, grad) -> (x, weight grads)
  kSoftmax,           ///< (x) -> y over the last axis
  kSoftmaxGrad,       ///< (y, grad) -> x grad
  kLogSoftmax,        ///< (x) -> y over the last axis
  kLogSoftmaxGrad,    ///< (y, grad) -> x grad
  kCrossEntropy,      ///< (logits, targets i32) -> loss of each row, f64
  kCrossEntropyGrad,  ///< (logits, targets i32) -> (loss of each row, logits grad)
  // Index (rules/index.cc)
  kEmbedding,      ///< (tokens i32 (B, T), table (V, C)[, positions (P, C)]) -> (B, T, C)
  kEmbeddingGrad,  ///< (tokens, grad) -> (table grad[, positions grad])
  kIndexSelect,    ///< (x, index (N)) -> x with `axis` picked
  kIndexAdd,       ///< (index (N), source) -> zeros of `rows` along `axis`, source added at index
  kGather,         ///< (x, index) -> x picked along `axis`, index shaped as the result
  kScatterAdd,     ///< (index, source) -> zeros of `rows` along `axis`, source added at index
  kTopK,           ///< (x) -> (values, i32 places), last axis, greatest first, ties by place
  kArgMax,         ///< (x) -> i32, last axis removed, the first of equals
  // Pointwise, one input (rules/pointwise.cc)
  kNeg,
  kAbs,
  kSign,
  kExp,
  kLog,
  kSqrt,
  kRsqrt,
  kTanh,
  kSigmoid,
  kErf,
  kSin,
  kCos,
  kSquare,
  kRelu,
  kGelu,  ///< the tanh form of GPT-2
  kSilu,
  kAffine,  ///< scale x + shift
  // Pointwise, two inputs, broadcast against each other
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMaximum,
  kMinimum,
  kEqual,        ///< -> bool
  kLess,         ///< -> bool
  kLessEqual,    ///< -> bool
  kGeluGrad,     ///< (x, grad) -> x grad
  kSiluGrad,     ///< (x, grad) -> x grad
  kGeluAndGrad,  ///< (x, grad) -> (gelu(x), x grad): what recomputing backward needs
  kSwiGlu,       ///< (gate, up) -> silu(gate) up
  // Pointwise, three inputs
  kSwiGluGrad,  ///< (gate, up, grad) -> (gate, up grads)
  kWhere,       ///< (condition bool, a, b) -> a where true, else b; broadcast
  // Reductions and scans (rules/reduce.cc)
  kSum,        ///< (x) -> `axes` become 1
  kMax,        ///< (x) -> `axes` become 1
  kSquareSum,  ///< (x) -> sum of squares of each block of kSquareSumBlock elements, f64
  kCumSum,     ///< (x) -> running sum along `axis`
  // Movement (rules/move.cc)
  kFill,    ///< () -> `shape` of `to`, each element `shift`
  kCopy,    ///< (x) -> the same, row major
  kCast,    ///< (x) -> as dtype `to`, row major
  kConcat,  ///< (x0, x1, ..) -> joined along `axis`; up to kMaxInputs
  kPad,     ///< (x) -> `before` and `after` elements of value `shift` around
  // Random (rules/random.cc); all pure functions of `draw`
  kDropout,  ///< (x) -> x with elements dropped; its own gradient, too
  kUniform,  ///< () -> `shape` of `to` in [0, 1)
  kNormal,   ///< () -> `shape` of `to`, mean 0, variance 1
  // Images (rules/vision.cc), logical N, C, H, W
  kConv2d,            ///< (x, weight (O, I / groups, kh, kw)[, bias]) -> y
  kConv2dInputGrad,   ///< (weight, grad) -> x grad of `shape`
  kConv2dWeightGrad,  ///< (x, grad) -> weight grad of `shape`
  kMaxPool2d,         ///< (x) -> (y, i32 place in the plane)
  kMaxPool2dGrad,     ///< (place, grad) -> x grad of `shape`
  kAvgPool2d,         ///< (x) -> y; padding does not count
  kAvgPool2dGrad,     ///< (grad) -> x grad of `shape`
  // Updates in place (rules/update.cc): n tensors at once, in: n gradients (f32 or bf16); out: the
  // f32 masters, then each kind of state, then perhaps n weights to publish (bf16)
  kAdamW,      ///< out: n masters, n means, n squares[, n weights]
  kSgd,        ///< out: n masters, n momenta[, n weights]
  kLion,       ///< out: n masters, n momenta[, n weights]
  kAdafactor,  ///< out: n masters, n row squares, n column squares[, n weights]
};
inline constexpr std::size_t kOpCount = static_cast<std::size_t>(Op::kAdafactor) + 1;

/// Of every op but the updates in place.
inline constexpr std::size_t kMaxInputs = 16;
inline constexpr std::size_t kMaxOutputs = 3;

std::string_view name_of(Op op);
Result<Op> op_named(std::string_view name);
constexpr bool is_update(Op op) { return op >= Op::kAdamW; }

}  // namespace reef::ops
