#pragma once
// Which elements a dropout keeps. One definition for every backend, so that they agree bit for bit.

#include <cstdint>
#include <string>

#include "ops/catalog/catalog.h"
#include "runtime/base/random.h"

namespace reef::ops {

/// The stream of one dropout of one step.
inline Random dropout_stream(const Draw& draw) {
  return Random(draw.seed, "dropout/" + std::to_string(draw.op) + "/" + std::to_string(draw.step));
}

/// What multiplies element `element` of global sample `sample`: 0 or 1 / (1 - p).
inline float dropout_factor(const Random& stream, const Draw& draw, std::uint64_t sample,
                            std::uint64_t element) {
  return stream.uniform(sample, element) < draw.probability ? 0.0f : 1.0f / (1 - draw.probability);
}

}  // namespace reef::ops
