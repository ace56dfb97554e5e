#pragma once
// What passes through a register: the value of one act for one firing, and what round it belongs
// to.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops/tensor/tensor.h"
#include "runtime/base/bytes.h"
#include "runtime/base/round.h"

namespace reef {

/// The tensors of a token as they cross a wire edge: all of one dtype, concatenated and encoded.
struct Encoded {
  std::string codec;  ///< the edge's, or the one that was chosen where the edge's is "auto"
  ops::DType dtype = ops::DType::kF32;
  std::vector<std::vector<std::int64_t>> shapes;
  std::uint64_t raw_bytes = 0;  ///< of the tensors before encoding
  Bytes payload;
};

/// Memory: tensors are reference-counted handles; copying a Token copies no data.
/// An empty token says "this act did not take part in this round" and carries no value.
struct Token {
  Round round;
  std::uint32_t micro = 0;  ///< index of the leaf within its replica's round
  bool empty = false;
  std::vector<ops::Tensor> tensors;
  std::vector<double> scalars;
  /// On wire edges, in place of the tensors. On the way to a sender, beside the tensors: what the
  /// producer has made of them already, since it had to see what its partner will see.
  std::shared_ptr<const Encoded> encoded;
};

}  // namespace reef
