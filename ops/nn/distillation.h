#pragma once
// What a student learns from a teacher's outputs beside its data (Hinton et al. 2015, arXiv
// 1503.02531): the teacher's probabilities of the next token in the place of the one that came.
//
// A teacher says the probabilities of its k most likely tokens. What is left for all others is one
// lump, which the student's probabilities of all others together are held against: nothing is
// invented about what was not said.

#include <cstdint>
#include <span>

#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"

namespace reef::nn {

/// What follows one position, as a teacher has it.
struct SoftTarget {
  std::size_t position = 0;              ///< a row of the logits
  std::span<const std::int32_t> tokens;  ///< ascending, in the vocabulary
  std::span<const float> probabilities;  ///< of these, at the temperature; together at most 1
};

/// Adds to `grad_logits` the gradient of scale * loss, where
///
///   loss = temperature^2 * the sum over targets of KL(teacher || student)
///
/// with both at the temperature; its square keeps gradients of one size whatever the temperature.
/// Returns the loss, added in the targets' order, so that no thread count changes a bit. `logits`
/// and `grad_logits`: f32 (B, T, V), contiguous, in host memory. Precondition: no position twice.
double distil(ops::Context& context, const ops::Tensor& logits, std::span<const SoftTarget> targets,
              double temperature, double scale, const ops::Tensor& grad_logits);

}  // namespace reef::nn
