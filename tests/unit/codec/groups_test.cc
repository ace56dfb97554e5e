#include <cmath>
#include <limits>

#include "ops/codec/bf16.h"
#include "ops/codec/codec.h"
#include "ops/codec/groups.h"
#include "values.h"

namespace reef::codec {
namespace {

const std::vector<Lossy> kGrouped{Lossy::kFP8, Lossy::kInt8, Lossy::kInt4, Lossy::kInt2};

std::vector<Codec> all_grouped() {
  std::vector<Codec> codecs;
  for (const Lossy lossy : kGrouped) {
    for (const bool zstd : {false, true}) codecs.push_back({lossy, zstd});
    codecs.push_back({lossy, true, 3});
  }
  return codecs;
}

std::vector<float> through(Codec codec, const std::vector<float>& values) {
  Bytes encoded;
  encode(codec, std::span<const float>(values), encoded);
  EXPECT_LE(encoded.size(), max_encoded_size(codec, values.size())) << name(codec);
  std::vector<float> decoded(values.size(), 42.0f);
  const Status status = decode(codec, encoded, std::span<float>(decoded));
  EXPECT_TRUE(status.ok()) << name(codec) << ' ' << (status.ok() ? "" : status.error().text());
  return decoded;
}

/// Values whose size differs from group to group, from the smallest floats to the largest.
std::vector<float> of_all_sizes(std::size_t size) {
  std::vector<float> values = gradient(size);
  for (std::size_t i = 0; i < size; ++i) {
    values[i] = std::ldexp(values[i], static_cast<int>(i / 128 * 7 % 250) - 120);
  }
  return values;
}

TEST(Groups, DecodeToWhatRoundTripPromises) {
  for (const Codec codec : all_grouped()) {
    for (const std::size_t size :
         {0, 1, 2, 15, 16, 17, 31, 32, 33, 127, 128, 129, 1000, 131072, 131073, 300001}) {
      std::vector<float> expected = gradient(size);
      round_trip(codec, expected);
      EXPECT_EQ(bits_of(through(codec, gradient(size))), bits_of(expected))
          << name(codec) << ' ' << size;
    }
  }
}

TEST(Groups, ChangeNothingTheSecondTime) {
  for (const Codec codec : all_grouped()) {
    for (const auto& values : {gradient(1000), of_all_sizes(40'000)}) {
      const std::vector<float> once = through(codec, values);
      EXPECT_EQ(bits_of(through(codec, once)), bits_of(once)) << name(codec);
    }
  }
}

/// What a value may lose, given the largest of its group; the scale itself is rounded to bf16.
double bound(Lossy lossy, double value, double largest) {
  constexpr double kScale = 1 + 1.0 / 256;
  if (lossy == Lossy::kInt8) return largest / 127 / 2 * kScale;
  if (lossy == Lossy::kInt4) return largest / 7 / 2 * kScale;
  if (lossy == Lossy::kInt2) return largest * kScale;
  return std::max(std::abs(value) / 16, largest / 448 / 1024 * kScale) * (1 + 1e-6);
}

TEST(Groups, LoseNoMoreThanPromised) {
  for (const Lossy lossy : kGrouped) {
    const std::vector<float> values = of_all_sizes(20'000);
    const std::vector<float> decoded = through({lossy, false}, values);
    const std::size_t group = group_of(lossy);
    for (std::size_t first = 0; first < values.size(); first += group) {
      double largest = 0;
      const std::size_t end = std::min(first + group, values.size());
      for (std::size_t i = first; i < end; ++i)
        largest = std::max(largest, double(std::abs(values[i])));
      if (largest < 0x1p-90) continue;  // becomes zero, see below
      for (std::size_t i = first; i < end; ++i) {
        ASSERT_LE(std::abs(double(decoded[i]) - double(values[i])),
                  bound(lossy, values[i], largest) * (1 + 1e-6))
            << name({lossy, false}) << ' ' << i << ' ' << values[i] << ' ' << decoded[i];
      }
    }
  }
}

TEST(Groups, WriteExactlyTheseBytes) {
  // int8: the largest, 127, makes the scale 1: its bf16 is 0x3F80, little-endian.
  Bytes encoded;
  std::vector<float> values{127, -127, 1, 0.5f, 1.5f, -2.5f, 0.4f, 0};
  encode({Lossy::kInt8, false}, std::span<const float>(values), encoded);
  const Bytes int8{std::byte{0x80}, std::byte{0x3F}, std::byte{127}, std::byte{0x81},
                   std::byte{1},    std::byte{0},    std::byte{2},   std::byte{0xFE},
                   std::byte{0},    std::byte{0}};
  EXPECT_EQ(encoded, int8);
  // int4: value j in the low half of byte j, value j + 16 in the high half.
  values.assign(17, 0);
  values[0] = 7;
  values[1] = -3;
  values[16] = -7;
  encode({Lossy::kInt4, false}, std::span<const float>(values), encoded);
  Bytes int4(2 + 16);
  int4[0] = std::byte{0x80};
  int4[1] = std::byte{0x3F};
  int4[2] = std::byte{0x97};
  int4[3] = std::byte{0x0D};
  EXPECT_EQ(encoded, int4);
  // fp8: 448 is 0x7E, 1 is 0x38, the smallest subnormal 2^-9 is 0x01, a half of it ties to 0.
  values = {448, -1, 0x1p-9f, 0x1p-10f, 1.0625f, 17.0f / 512, 0x1p-6f};
  encode({Lossy::kFP8, false}, std::span<const float>(values), encoded);
  const Bytes fp8{std::byte{0x80}, std::byte{0x3F}, std::byte{0x7E}, std::byte{0xB8}, std::byte{1},
                  std::byte{0},    std::byte{0x38}, std::byte{0x10}, std::byte{0x08}};
  EXPECT_EQ(encoded, fp8);
}

/// What int2 makes of one whole group, by its definition.
std::vector<float> in_two_levels(std::span<const float> group) {
  double sum = 0, large = 0, small = 0;
  std::size_t larger = 0;
  for (const float value : group) sum += double(std::abs(value));
  const double mean = sum / double(group.size());
  for (const float value : group) {
    const double magnitude = std::abs(value);
    larger += magnitude >= mean;
    (magnitude >= mean ? large : small) += magnitude;
  }
  large /= double(larger);
  if (larger < group.size()) small /= double(group.size() - larger);
  std::vector<float> seen;
  for (const float value : group) {
    const double level = double(std::abs(value)) >= mean ? large : small;
    seen.push_back(std::copysign(from_bf16(to_bf16(float(level))), value));
  }
  return seen;
}

TEST(Groups, OfTwoBitsTakeTheMeansAboveAndBelowTheMean) {
  const std::vector<float> values = of_all_sizes(64 * 300);
  const std::vector<float> decoded = through({Lossy::kInt2, false}, values);
  for (std::size_t at = 0; at < values.size(); at += 64) {
    const auto group = std::span(values).subspan(at, 64);
    float largest = 0;
    for (const float value : group) largest = std::max(largest, std::abs(value));
    if (largest < 0x1p-90f) continue;
    const std::vector<float> seen(decoded.begin() + std::ptrdiff_t(at),
                                  decoded.begin() + std::ptrdiff_t(at) + 64);
    ASSERT_EQ(bits_of(seen), bits_of(in_two_levels(group))) << at;
  }
}

TEST(Groups, OfTwoBitsAreExactWhereThereAreTwoMagnitudes) {
  for (const std::size_t size : {1, 2, 63, 64, 65, 100, 128, 1000}) {
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i)
      values[i] = (i % 3 == 0 ? 3.0f : 0.5f) * (i % 5 < 2 ? -1 : 1);
    EXPECT_EQ(bits_of(through({Lossy::kInt2, false}, values)), bits_of(values)) << size;
  }
}

TEST(Groups, OfTwoBitsWriteExactlyTheseBytes) {
  // Levels 1 and 3, little-endian bf16; byte j holds values j, j + 16, j + 32 and j + 48.
  std::vector<float> values(64, 1);
  values[0] = 3;
  values[16] = -1;
  values[32] = -3;
  values[49] = 3;
  Bytes encoded, expected(4 + 16);
  encode({Lossy::kInt2, false}, std::span<const float>(values), encoded);
  store(expected.data(), std::uint16_t{0x3F80});
  store(expected.data() + 2, std::uint16_t{0x4040});
  expected[4] = std::byte{1 | 2 << 2 | 3 << 4};
  expected[5] = std::byte{1 << 6};
  EXPECT_EQ(encoded, expected);
}

TEST(Groups, OfTwoBitsRefuseLevelsThatNoEncoderWrites) {
  const auto good = [](std::uint16_t small, std::uint16_t large) {
    Bytes encoded(4 + 16);
    store(encoded.data(), small);
    store(encoded.data() + 2, large);
    std::vector<float> out(64);
    return decode({Lossy::kInt2, false}, encoded, std::span(out)).ok();
  };
  EXPECT_TRUE(good(0x3F80, 0x4040));
  EXPECT_TRUE(good(0x3F80, 0x3F80));
  EXPECT_TRUE(good(0, 0x3F80));
  EXPECT_TRUE(good(0, 0));
  EXPECT_TRUE(good(0x3F80, 0x7F7F)) << "the largest bf16";
  EXPECT_TRUE(good(0x7FC0, 0x7FC0)) << "poison";
  EXPECT_FALSE(good(0x4040, 0x3F80)) << "the larger is smaller";
  EXPECT_FALSE(good(0x3F80, 0x7FC0)) << "half poison";
  EXPECT_FALSE(good(0x7FC0, 0x3F80)) << "half poison";
  EXPECT_FALSE(good(0x3F80, 0x7F80)) << "infinity";
  EXPECT_FALSE(good(0x7FC1, 0x7FC1)) << "another NaN";
  EXPECT_FALSE(good(0x3F80, 0xBF80)) << "negative";
  EXPECT_FALSE(good(0x8000, 0x3F80)) << "negative zero";
  EXPECT_FALSE(good(0x0001, 0x3F80)) << "subnormal";
}

TEST(Groups, RoundTripEveryCodeOfFP8) {
  // With 448 in front the scale is 1, and every code stands for itself.
  for (int code = 0; code < 256; ++code) {
    if ((code & 0x7F) == 0x7F) continue;
    const Bytes encoded{std::byte{0x80}, std::byte{0x3F}, std::byte{0x7E}, std::byte(code)};
    std::vector<float> decoded(2);
    ASSERT_TRUE(decode({Lossy::kFP8, false}, encoded, std::span<float>(decoded)).ok());
    const int exponent = code >> 3 & 15;
    const double mantissa = (code & 7) / 8.0;
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -6) : std::ldexp(1 + mantissa, exponent - 7);
    EXPECT_EQ(double(decoded[1]), code & 0x80 ? -magnitude : magnitude) << code;
    Bytes again;
    encode({Lossy::kFP8, false}, std::span<const float>(decoded), again);
    EXPECT_EQ(again, encoded) << code;
  }
}

TEST(Groups, ShowPoisonInItsGroupOnly) {
  using Limits = std::numeric_limits<float>;
  for (const float poison : {Limits::quiet_NaN(), -Limits::quiet_NaN(), Limits::infinity(),
                             -Limits::infinity(), Limits::max(), Limits::lowest()}) {
    for (const Codec codec : all_grouped()) {
      const std::size_t group = group_of(codec.lossy);
      std::vector<float> values = gradient(3 * group);
      values[group + 5] = poison;
      const std::vector<float> decoded = through(codec, values);
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_EQ(std::isnan(decoded[i]), i / group == 1) << name(codec) << ' ' << i;
      }
      EXPECT_EQ(bits_of(through(codec, decoded)), bits_of(decoded));
    }
  }
}

TEST(Groups, TurnWhatIsTooSmallIntoZero) {
  for (const Codec codec : all_grouped()) {
    for (const float tiny : {0.0f, 1e-45f, -1e-40f, 1e-30f}) {
      for (const float value : through(codec, std::vector<float>(200, tiny))) {
        ASSERT_LE(std::abs(value - tiny), 1e-27f);
      }
    }
  }
}

TEST(Groups, RoundBF16AsTheyRoundF32) {
  const std::vector<float> values = gradient(5000);
  std::vector<std::uint16_t> narrow;
  std::vector<float> wide;
  for (const float value : values) {
    narrow.push_back(to_bf16(value));
    wide.push_back(from_bf16(narrow.back()));
  }
  for (const Codec codec : all_grouped()) {
    Bytes from_narrow, from_wide;
    encode(codec, std::span<const std::uint16_t>(narrow), from_narrow);
    encode(codec, std::span<const float>(wide), from_wide);
    EXPECT_EQ(from_narrow, from_wide) << name(codec);
    std::vector<std::uint16_t> decoded(narrow.size());
    ASSERT_TRUE(decode(codec, from_narrow, std::span<std::uint16_t>(decoded)).ok());
    std::vector<float> expected = wide;
    round_trip(codec, expected);
    for (std::size_t i = 0; i < decoded.size(); ++i) ASSERT_EQ(decoded[i], to_bf16(expected[i]));
  }
}

TEST(Groups, ReplaceTheWholeBufferWhateverWasInIt) {
  for (const Codec codec : all_grouped()) {
    Bytes first, second(1000, std::byte{9});
    encode(codec, std::span<const float>(gradient(1001)), first);
    encode(codec, std::span<const float>(gradient(1001)), second);
    EXPECT_EQ(first, second);
  }
}

TEST(Groups, BecomeSmallerWithZstd) {
  const auto values = gradient(1 << 20);
  for (const auto& [text, ratio] :
       {std::pair{"int8", 0.2541}, std::pair{"int8+zstd", 0.25}, std::pair{"int4", 0.1407},
        std::pair{"int4+zstd", 0.13}, std::pair{"int2", 0.0782}, std::pair{"int2+zstd", 0.0782},
        std::pair{"fp8", 0.2541}, std::pair{"fp8+zstd", 0.23}}) {
    Bytes encoded;
    encode(*parse(text), std::span<const float>(values), encoded);
    EXPECT_LT(double(encoded.size()), ratio * 4 * double(values.size())) << text;
  }
}

TEST(Groups, SurviveDamage) {
  for (const Codec codec : all_grouped()) {
    Bytes encoded;
    encode(codec, std::span<const float>(gradient(150)), encoded);
    expect_survives_damage<std::vector<float>>(encoded, std::vector<float>(150),
                                               [codec](BytesView bytes, std::vector<float>& out) {
                                                 return decode(codec, bytes, std::span<float>(out));
                                               });
    std::vector<float> other(149);
    const bool whole_groups = codec.lossy == Lossy::kInt4 || codec.lossy == Lossy::kInt2;
    EXPECT_FALSE(decode(codec, encoded, std::span<float>(other)).ok() && !whole_groups);
  }
}

TEST(Groups, RefuseScalesAndCodesThatNoEncoderWrites) {
  const auto good = [](Lossy lossy, std::uint16_t scale, std::uint8_t code) {
    Bytes encoded(2 + (lossy == Lossy::kInt4 ? 16 : 1));
    store(encoded.data(), scale);
    store(encoded.data() + 2, code);
    float out = 0;
    return decode({lossy, false}, encoded, std::span(&out, 1)).ok();
  };
  for (const Lossy lossy : {Lossy::kFP8, Lossy::kInt8, Lossy::kInt4}) {
    EXPECT_TRUE(good(lossy, 0x3F80, 1));
    EXPECT_TRUE(good(lossy, 0, 0));
    EXPECT_TRUE(good(lossy, 0x7FC0, 0));
    EXPECT_FALSE(good(lossy, 0x7F80, 1)) << "infinity";
    EXPECT_FALSE(good(lossy, 0x7FC1, 1)) << "another NaN";
    EXPECT_FALSE(good(lossy, 0xBF80, 1)) << "negative";
    EXPECT_FALSE(good(lossy, 0x0001, 1)) << "subnormal";
    EXPECT_FALSE(good(lossy, 0x7F7F, 1)) << "overflows";
  }
  EXPECT_FALSE(good(Lossy::kInt8, 0x3F80, 0x80));
  EXPECT_FALSE(good(Lossy::kInt4, 0x3F80, 0x08));
  EXPECT_FALSE(good(Lossy::kInt4, 0x3F80, 0x80));
  EXPECT_FALSE(good(Lossy::kFP8, 0x3F80, 0x7F));
  EXPECT_FALSE(good(Lossy::kFP8, 0x3F80, 0xFF));
}

}  // namespace
}  // namespace reef::codec
