#include "runtime/base/random.h"

#include <cmath>
#include <numbers>

namespace reef {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c,
                                    std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(a)};
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c;
}

Random::Random(std::uint64_t seed, std::string_view purpose) {
  const std::uint64_t mixed = seed * 0x9E3779B97F4A7C15ull ^ stable_hash(purpose);
  key_ = {static_cast<std::uint32_t>(mixed), static_cast<std::uint32_t>(mixed >> 32)};
}

std::array<std::uint32_t, 4> Random::block(std::uint64_t row, std::uint64_t index) const {
  return philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                 static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32)},
                key_);
}

std::uint32_t Random::bits(std::uint64_t row, std::uint64_t index) const {
  return block(row, index / 4)[index % 4];
}

float Random::uniform(std::uint64_t row, std::uint64_t index) const {
  return static_cast<float>(bits(row, index) >> 8) * 0x1p-24f;
}

float Random::normal(std::uint64_t row, std::uint64_t index) const {
  const auto words = block(row, index);
  const double u = (words[0] + 1.0) * 0x1p-32;  // in (0, 1], so that the logarithm is finite
  const double v = words[1] * 0x1p-32;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v));
}

std::uint64_t Random::below(std::uint64_t bound, std::uint64_t row, std::uint64_t index) const {
  const auto words = block(row, index);
  const std::uint64_t wide = std::uint64_t{words[0]} << 32 | words[1];
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(wide) * bound >> 64);
}

std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return hash;
}

}  // namespace reef
