#pragma once
// Views and movements on variables. Primitives; they keep nothing.

#include <cstdint>
#include <span>
#include <vector>

#include "ops/autograd/tape.h"
#include "ops/tensor/run.h"

namespace reef::ops {

// Views. What shares memory with a leaf holds that memory as long as the tape keeps the view.

/// Copies what is not contiguous.
Variable reshape(Context& context, Tape& tape, const Variable& x, const Shape& shape);
Variable narrow(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                std::int64_t first, std::int64_t count);
/// Element `index` of an axis, which disappears.
Variable select(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                std::int64_t index);
/// Axis i of the result is axis order[i] of x.
Variable permute(Context& context, Tape& tape, const Variable& x,
                 std::span<const std::size_t> order);
Variable transpose(Context& context, Tape& tape, const Variable& x, std::size_t a, std::size_t b);
/// Repeats axes of extent 1, and adds leading ones.
Variable expand(Context& context, Tape& tape, const Variable& x, const Shape& shape);
/// `parts` equal parts of an axis.
std::vector<Variable> split(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                            std::int64_t parts);

// Movements.

Variable contiguous(Context& context, Tape& tape, const Variable& x);
Variable concat(Context& context, Tape& tape, std::span<const Variable> parts, std::size_t axis);
/// The elements of `axis` in some runs, side by side. One run gives a view.
Variable take_runs(Context& context, Tape& tape, const Variable& x, std::size_t axis,
                   std::span<const Run> runs);
Variable pad(Context& context, Tape& tape, const Variable& x, std::size_t axis, std::int64_t before,
             std::int64_t after, double value = 0);
/// The gradient comes back in x's dtype. To anything but a floating dtype: a constant.
Variable cast(Context& context, Tape& tape, const Variable& x, DType to);

}  // namespace reef::ops
