#pragma once
// The counter-based random numbers of runtime/base/random.h and the draws of ops/catalog/draw.h on
// a GPU: the same bits for the same key and position.

#include "ops/catalog/draw.h"
#include "ops/cuda/launch.cuh"

namespace reef::ops::cuda {

/// A Random, as kernels take it.
struct Stream {
  std::uint32_t key[2];

  explicit Stream(const Random& random) : key{random.key()[0], random.key()[1]} {}
  Stream() : key{} {}

  /// Philox4x32-10 of counter {index, row}, as four words.
  __device__ uint4 block(std::uint64_t row, std::uint64_t index) const {
    uint4 c{static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
            static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32)};
    std::uint32_t k0 = key[0];
    std::uint32_t k1 = key[1];
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t a = std::uint64_t{0xD2511F53} * c.x;
      const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c.z;
      c = {static_cast<std::uint32_t>(b >> 32) ^ c.y ^ k0, static_cast<std::uint32_t>(b),
           static_cast<std::uint32_t>(a >> 32) ^ c.w ^ k1, static_cast<std::uint32_t>(a)};
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    return c;
  }

  __device__ float uniform(std::uint64_t row, std::uint64_t index) const {
    const uint4 words = block(row, index / 4);
    const unsigned at = index % 4;
    const std::uint32_t bits = at == 0 ? words.x : at == 1 ? words.y : at == 2 ? words.z : words.w;
    return static_cast<float>(bits >> 8) * 0x1p-24f;
  }

  /// Equal to the host's but where its log or cos differ in the last bit of a double, and that bit
  /// decides how the float is rounded.
  __device__ float normal(std::uint64_t row, std::uint64_t index) const {
    const uint4 words = block(row, index);
    const double u = (words.x + 1.0) * 0x1p-32;
    const double v = words.y * 0x1p-32;
    return static_cast<float>(::sqrt(-2.0 * ::log(u)) * ::cos(2.0 * 3.14159265358979323846 * v));
  }
};

/// The factors of one dropout.
struct Factors {
  Stream stream;
  float probability = 0;  ///< 0: every factor is 1
  float kept = 1;         ///< the factor of what stays
  std::uint64_t first_sample = 0;

  explicit Factors(const Draw& draw)
      : probability(draw.probability),
        kept(1.0f / (1 - draw.probability)),
        first_sample(draw.first_sample) {
    if (probability > 0) stream = Stream(dropout_stream(draw));
  }

  /// Of element `element` of the tensor's sample `sample`.
  __device__ float at(Index sample, Index element) const {
    if (probability <= 0) return 1;
    const std::uint64_t row = first_sample + static_cast<std::uint64_t>(sample);
    return stream.uniform(row, static_cast<std::uint64_t>(element)) < probability ? 0 : kept;
  }
};

}  // namespace reef::ops::cuda
