#pragma once
// What random ops draw. One definition for every backend, so that they agree bit for bit: a value
// is a function of the draw, of the global sample (first_sample + the place along axis 0; a scalar
// is one sample) and of the element within that sample, counted row major.

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "ops/catalog/catalog.h"
#include "runtime/base/random.h"

namespace reef::ops {

/// The stream of one random op of one step. The kind keeps ops of one number apart.
inline Random stream_of(std::string_view kind, const Draw& draw) {
  return Random(draw.seed, std::string(kind) + "/" + std::to_string(draw.op) + "/" +
                               std::to_string(draw.step));
}
inline Random dropout_stream(const Draw& draw) { return stream_of("dropout", draw); }
inline Random uniform_stream(const Draw& draw) { return stream_of("uniform", draw); }
inline Random normal_stream(const Draw& draw) { return stream_of("normal", draw); }

/// What multiplies element `element` of global sample `sample`: 0 or 1 / (1 - p).
inline float dropout_factor(const Random& stream, const Draw& draw, std::uint64_t sample,
                            std::uint64_t element) {
  return stream.uniform(sample, element) < draw.probability ? 0.0f : 1.0f / (1 - draw.probability);
}

/// Element of kUniform, exact in `dtype`: 24 bits, of which bf16 keeps the upper 8 and f16 the
/// upper
/// 11. Rounding instead would give 1, which [0, 1) promises not to.
inline float uniform_element(const Random& stream, DType dtype, std::uint64_t sample,
                             std::uint64_t element) {
  const float value = stream.uniform(sample, element);
  if (dtype == DType::kBF16) return std::floor(value * 0x1p8f) * 0x1p-8f;
  if (dtype == DType::kF16) return std::floor(value * 0x1p11f) * 0x1p-11f;
  return value;
}

/// Element of kNormal, before it is rounded to the result's dtype.
inline float normal_element(const Random& stream, std::uint64_t sample, std::uint64_t element) {
  return stream.normal(sample, element);
}

}  // namespace reef::ops
