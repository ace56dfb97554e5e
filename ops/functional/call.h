#pragma once
// How the functions of this folder reach the catalog.

#include <array>
#include <cstddef>

#include "ops/catalog/catalog.h"

namespace reef::ops {

/// Runs an op with `count` new outputs.
template <std::size_t count, std::size_t inputs>
std::array<Tensor, count> call(Context& context, Op op, const std::array<Tensor, inputs>& in,
                               const Attributes& attributes = {}) {
  std::array<Tensor, count> out;
  run(context, op, in, out, attributes);
  return out;
}

/// With one output.
template <std::size_t inputs>
Tensor call_one(Context& context, Op op, const std::array<Tensor, inputs>& in,
                const Attributes& attributes = {}) {
  return call<1>(context, op, in, attributes)[0];
}

}  // namespace reef::ops
