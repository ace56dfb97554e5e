#pragma once
// Values for the codecs' tests, and what is asked of every decoder.

#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <vector>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"
#include "runtime/base/random.h"

namespace reef::codec {

inline std::vector<std::uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

inline std::vector<float> gradient(std::size_t size, std::uint64_t row = 0) {
  const Random random(7, "gradient");
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = 1e-3f * random.normal(row, i);
  return values;
}

/// Decodes every truncation and every change of a single byte. Each is refused with kDecompress, or
/// decodes to the promised number of elements; under a sanitizer, without reading beyond the end.
template <typename Out>
void expect_survives_damage(const Bytes& encoded, Out out,
                            const std::function<Status(BytesView, Out&)>& decode) {
  const auto try_one = [&](const Bytes& damaged) {
    const Status status = decode(damaged, out);
    if (!status.ok()) {
      EXPECT_EQ(status.error().code, Code::kDecompress);
    }
  };
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    const Bytes cut(encoded.begin(), encoded.begin() + std::ptrdiff_t(size));
    EXPECT_FALSE(decode(cut, out).ok()) << size;
  }
  for (std::size_t at = 0; at < encoded.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes damaged = encoded;
      damaged[at] = static_cast<std::byte>(value);
      try_one(damaged);
    }
  }
}

}  // namespace reef::codec
