// The same bits from every instruction set that this processor runs, and right ones from the
// plainest.

#include "ops/codec/isa/dispatch.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "values.h"

namespace reef::codec {
namespace {

constexpr std::size_t kGroups = 40;
constexpr std::size_t kSize = kGroups * 128;

std::vector<float> mixed() {
  std::vector<float> values = gradient(kSize);
  for (std::size_t i = 0; i < kSize; ++i)
    values[i] = std::ldexp(values[i], int(i / 32 * 11 % 230) - 110);
  values[3] = std::numeric_limits<float>::quiet_NaN();
  values[700] = -std::numeric_limits<float>::infinity();
  values[1500] = std::numeric_limits<float>::denorm_min();
  for (std::size_t i = 2048; i < 2304; ++i) values[i] = -0.0f;
  return values;
}

struct Outcome {
  std::vector<std::uint16_t> scales;
  std::vector<std::uint8_t> codes;
  std::vector<std::uint32_t> decoded;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome(EncodeGroups encode, DecodeGroups decode, std::size_t group) {
  const std::vector<float> values = mixed();
  Outcome outcome{
      std::vector<std::uint16_t>(2 * kSize / group), std::vector<std::uint8_t>(kSize), {}};
  encode(values.data(), kSize / group, outcome.scales.data(), outcome.codes.data());
  std::vector<float> decoded(kSize);
  EXPECT_TRUE(decode(outcome.scales.data(), outcome.codes.data(), kSize / group, decoded.data()));
  outcome.decoded = bits_of(decoded);
  return outcome;
}

TEST(InstructionSets, GiveTheSameCodesAndValues) {
  const Kernels& plain = *runnable_kernels()[0];
  for (const Kernels* other : runnable_kernels()) {
    SCOPED_TRACE(other->name);
    EXPECT_EQ(outcome(other->encode_int8, other->decode_int8, kInt8Group),
              outcome(plain.encode_int8, plain.decode_int8, kInt8Group));
    EXPECT_EQ(outcome(other->encode_int4, other->decode_int4, kInt4Group),
              outcome(plain.encode_int4, plain.decode_int4, kInt4Group));
    EXPECT_EQ(outcome(other->encode_int2, other->decode_int2, kInt2Group),
              outcome(plain.encode_int2, plain.decode_int2, kInt2Group));
    EXPECT_EQ(outcome(other->encode_fp8, other->decode_fp8, kFP8Group),
              outcome(plain.encode_fp8, plain.decode_fp8, kFP8Group));
  }
}

TEST(InstructionSets, FindTheSamePositions) {
  const std::vector<float> values = mixed();
  for (const float threshold : {0.0f, 1e-10f, 1.0f, 1e30f}) {
    const auto bits = std::bit_cast<std::uint32_t>(threshold);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64},
                                   std::size_t{65}, std::size_t{130}, kSize}) {
      std::vector<std::uint32_t> expected;
      for (std::size_t i = 0; i < size; ++i) {
        if ((std::bit_cast<std::uint32_t>(values[i]) & 0x7FFFFFFFu) >= bits)
          expected.push_back(std::uint32_t(i));
      }
      for (const Kernels* one : runnable_kernels()) {
        std::vector<std::uint32_t> found(size);
        found.resize(one->find_large(values.data(), size, bits, found.data()));
        EXPECT_EQ(found, expected) << one->name << ' ' << threshold << ' ' << size;
      }
    }
  }
}

TEST(InstructionSets, FindTheSameMaxima) {
  const std::vector<float> values = mixed();
  for (const std::size_t rows : {std::size_t{0}, std::size_t{1}, kSize / kColumns}) {
    std::vector<std::uint32_t> expected(kColumns);
    for (std::size_t i = 0; i < rows * kColumns; ++i) {
      expected[i % kColumns] =
          std::max(expected[i % kColumns], std::bit_cast<std::uint32_t>(values[i]) & 0x7FFFFFFFu);
    }
    for (const Kernels* one : runnable_kernels()) {
      std::vector<std::uint32_t> found(kColumns, 9);
      one->column_maxima(values.data(), rows, found.data());
      EXPECT_EQ(found, expected) << one->name << ' ' << rows;
      for (const std::uint32_t threshold : {0u, 1u, found[17], 0x3F800000u, 0x7FFFFFFFu}) {
        const auto count = std::ranges::count_if(found, [&](auto x) { return x >= threshold; });
        EXPECT_EQ(one->count_large(found.data(), threshold), static_cast<std::size_t>(count));
      }
    }
  }
}

TEST(InstructionSets, MultiplyAndAddInTheSameOrder) {
  constexpr std::size_t kRows = 37, kColumns = 53;
  const std::vector<float> matrix = gradient(kRows * kColumns), right = gradient(kColumns, 1),
                           left = gradient(kRows, 2);
  const auto all = [&](const Kernels& one) {
    std::vector<float> along(kRows), across(kColumns), outer = matrix, sum = matrix;
    one.times(matrix.data(), kRows, kColumns, right.data(), along.data());
    one.transposed_times(matrix.data(), kRows, kColumns, left.data(), across.data());
    one.add_outer(left.data(), kRows, right.data(), kColumns, outer.data());
    one.add(outer.data(), sum.size(), sum.data());
    std::vector<float> joined = along;
    for (const auto* more : {&across, &outer, &sum}) {
      joined.insert(joined.end(), more->begin(), more->end());
    }
    return joined;
  };
  const std::vector<float> plain = all(*runnable_kernels()[0]);
  for (std::size_t i = 0; i < kRows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < kColumns; ++j)
      sum += double(matrix[i * kColumns + j]) * double(right[j]);
    EXPECT_NEAR(plain[i], sum, 1e-9);
  }
  for (std::size_t j = 0; j < kColumns; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < kRows; ++i)
      sum += double(matrix[i * kColumns + j]) * double(left[i]);
    EXPECT_NEAR(plain[kRows + j], sum, 1e-9);
  }
  EXPECT_FLOAT_EQ(plain[kRows + kColumns + 5], matrix[5] + left[0] * right[5]);
  for (const Kernels* one : runnable_kernels()) {
    EXPECT_EQ(bits_of(all(*one)), bits_of(plain)) << one->name;
  }
}

}  // namespace
}  // namespace reef::codec
