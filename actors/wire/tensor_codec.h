#pragma once
// The codec of a wire edge, applied to what its tensors are made of: fp32 and bf16 are packed as
// such, all else as bytes that arrive as they are.

#include <span>

#include "ops/codec/codec.h"
#include "ops/tensor/dtype.h"

namespace reef::actors {

/// Replaces `out` by the encoding of `raw`, elements of `dtype`.
void encode(codec::Codec codec, ops::DType dtype, BytesView raw, Bytes& out);
/// Fills `out`. Failure: kDecompress for anything but one encoding of as many elements.
Status decode(codec::Codec codec, ops::DType dtype, BytesView encoded, std::span<std::byte> out);

}  // namespace reef::actors
