#pragma once
// What an automatic codec ("auto:0.01") will be on a line, so that plans count the bytes that will
// travel. A guess: while a job runs the codec is chosen by what its tensors and its line turn out
// to be (ops/codec/choose.h), by the same rule.

#include <string>
#include <string_view>

#include "ops/tensor/dtype.h"
#include "scheduler/topology/topology.h"

namespace reef::cost {

/// Of messages of `bytes`, raw, of which at most `slots` may be under way. Any other codec is what
/// it is.
std::string expected_codec(std::string_view codec, ops::DType dtype, const topology::Line& line,
                           double bytes, double slots);

}  // namespace reef::cost
