#pragma once
// What ops need beside tensors. One plain struct, each op reading its own fields, so that a call
// can be copied, compared, hashed and sent to a plug-in.

#include <array>
#include <cstdint>

#include "ops/tensor/dtype.h"
#include "ops/tensor/shape.h"

namespace reef::ops {

/// How the operands of a product lie: NN is a b, NT is a b^T, TN is a^T b.
enum class Product : std::uint8_t { kNN, kNT, kTN };

/// What a product does to its result before the residual is added.
enum class Activation : std::uint8_t { kNone, kGelu, kSilu, kRelu };

/// Draws of one random op: a pure function of these and of the element, not of who computes it.
struct Draw {
  float probability = 0;  ///< dropout's, of dropping; 0: nothing happens
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint64_t op = 0;            ///< which random op of the model
  std::uint64_t first_sample = 0;  ///< global index of the tensor's first row of samples
  bool operator==(const Draw&) const = default;
};

/// Of convolution and pooling; pairs are (height, width).
struct Window {
  std::array<std::int64_t, 2> size{1, 1};  ///< pooling only; a convolution's is its weight's
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 2> padding{0, 0};
  std::array<std::int64_t, 2> dilation{1, 1};
  std::int64_t groups = 1;
  bool operator==(const Window&) const = default;
};

/// The factors of one update. AdamW: torch.optim.AdamW. SGD: torch.optim.SGD, beta1 the momentum.
/// Lion: Chen et al. 2023, arXiv 2302.06675. Adafactor: Shazeer and Stern 2018, arXiv 1804.04235,
/// with beta2 = 1 - step^-0.8, updates clipped to root mean square 1, no momentum, lr the step
/// size, epsilon added to the squares of gradients, and AdamW's decay. `step` counts from 1.
struct Update {
  float lr = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 1e-2f;
  std::int64_t step = 1;
  float grad_scale = 1;  ///< multiplies the gradient first: 1 / tokens, clipping
  bool nesterov = false;
  /// Bit i of word i / 64: tensor i is not decayed. More than 256 tensors: several calls.
  std::array<std::uint64_t, 4> undecayed{};
  bool decays(std::size_t tensor) const {
    return (undecayed[tensor / 64] >> (tensor % 64) & 1) == 0;
  }
  bool operator==(const Update&) const = default;
};
inline constexpr std::size_t kMaxUpdateTensors = 256;

struct Attributes {
  Product product = Product::kNN;
  Activation activation = Activation::kNone;
  bool keep = false;       ///< matmul: also return what stood before the activation
  bool causal = false;     ///< attention: query i of T sees keys up to i + S - T
  bool reverse = false;    ///< cumsum: from the end; rope: rotate back
  DType to = DType::kF32;  ///< cast, fill, random; matmul: dtype of the result
  std::uint8_t axis = 0;
  std::uint8_t axes = 0;  ///< bit i: axis i is reduced
  std::int64_t rows =
      0;  ///< embedding gradient: vocabulary; index_add, scatter_add: the axis; top-k: k
  std::int64_t columns = 0;  ///< embedding gradient: positions, 0 for none
  std::int64_t first = 0;    ///< rope: position of the first row
  float epsilon = 1e-5f;
  double scale = 1;  ///< attention: 0 is 1 / sqrt(D); affine; cross-entropy's gradient; rope: base
  double shift = 0;  ///< affine, fill, pad
  Shape shape;       ///< of the result where inputs do not tell
  std::array<std::int64_t, Shape::kMaxRank> before{};  ///< pad
  std::array<std::int64_t, Shape::kMaxRank> after{};
  Window window;
  Draw draw;
  Update update;
};

}  // namespace reef::ops
