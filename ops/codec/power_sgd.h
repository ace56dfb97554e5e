#pragma once
// PowerSGD (Vogels, Karimireddy, Jaggi 2019, "PowerSGD: Practical Low-Rank Gradient Compression for
// Distributed Optimization"): a matrix M travels as two thin factors, P Q^T. One step of subspace
// iteration a message, begun where the last one ended, finds them:
//
//     P = orthonormal(M Q),  Q = M^T P
//
// What they miss stays in the owner's residual (feedback.h), beside the Q to begin with. Parts that
// would not become smaller (vectors, small matrices) travel whole. All factors and whole parts of a
// tensor, one behind the other, are encoded by one codec without state.

#include <span>

#include "ops/codec/codec.h"
#include "ops/codec/feedback.h"

namespace reef::codec {

/// One part of a run of elements, row by row.
struct Matrix {
  std::size_t rows = 0;
  std::size_t columns = 0;

  std::size_t elements() const { return rows * columns; }
  bool operator==(const Matrix&) const = default;
};

struct PowerSgd {
  std::size_t rank = 4;
  Codec factors{Lossy::kBF16, true};

  bool operator==(const PowerSgd&) const = default;
};

/// Whether the factors are smaller than the matrix: then it travels as factors.
bool is_thin(const PowerSgd& codec, const Matrix& part);

/// Numbers that travel over numbers that are there; 1 for no parts.
double factor_share(const PowerSgd& codec, std::span<const Matrix> parts);

/// Encodes and decodes runs of elements that consist of the same parts, with buffers of its own.
/// Thread: one at a time. Both ends make it from the same plan, which is trusted: sizes are
/// multiplied.
class PowerSgdCoder {
 public:
  PowerSgdCoder(PowerSgd codec, std::vector<Matrix> parts);

  /// Elements of all parts.
  std::size_t elements() const { return elements_; }
  /// Numbers that are encoded in their place.
  std::size_t factor_elements() const { return factor_elements_; }
  std::size_t max_encoded_size() const {
    return codec::max_encoded_size(codec_.factors, factor_elements_);
  }

  /// What an owner begins with: no residual, and Q drawn from a seed that is the same everywhere.
  Feedback begin() const;

  /// Replaces `out` by the encoding of values + residual, and leaves in `feedback` what a receiver
  /// will not see, and the next Q. `feedback` is begin()'s or what a call left.
  /// A matrix with a value that is not finite decodes to NaN; its residual and its Q begin anew.
  /// Equal input gives equal bytes, on every instruction set.
  void encode(std::span<const float> values, Feedback& feedback, Bytes& out);

  /// Fills `out`, elements() long. Failure: kDecompress as codec::decode(), before memory is taken.
  Status decode(BytesView encoded, std::span<float> out);

 private:
  void factorise(const Matrix& part, const float* matrix, float* warm, float* factors);
  void multiply(std::span<const float> factors, std::span<float> out) const;
  void draw(const Matrix& part, std::size_t index, std::span<float> warm) const;

  PowerSgd codec_;
  std::vector<Matrix> parts_;
  std::size_t elements_ = 0;
  std::size_t factor_elements_ = 0;
  std::size_t warm_elements_ = 0;
  std::vector<float> factors_;  ///< P and Q, a column behind the other, or the whole part
  std::vector<float> seen_;     ///< by the receiver
};

}  // namespace reef::codec
