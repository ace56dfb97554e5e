#pragma once
// Trading compute for memory: a block keeps only its inputs, and backward computes it again
// (Chen et al. 2016, arXiv 1604.06174).

#include <functional>
#include <span>

#include "ops/autograd/tape.h"

namespace reef::ops {

/// Part of a model. It must not use variables but `inputs` and leaves that it makes of `weights` on
/// the tape that it is given; it is called again in backward, with the weights given there, and may
/// hold neither tensors nor references that would be gone by then.
using Block = std::function<Variable(Context& context, Tape& tape, const Leaves& weights,
                                     std::span<const Variable> inputs)>;

/// block(inputs), recorded on a kRecord tape as one node that keeps the inputs alone. Gradients,
/// also those of its leaves, have the same bits as without, for inputs that are different
/// variables: contributions are added in the same order, and random ops draw the same again.
/// On a tape of another mode the block is written down as it is.
Variable checkpoint(Context& context, Tape& tape, const Block& block, const Leaves& weights,
                    std::span<const Variable> inputs);

}  // namespace reef::ops
