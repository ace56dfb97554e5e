#include "ops/codec/codec.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "ops/codec/bf16.h"
#include "values.h"

namespace reef::codec {
namespace {

const std::vector<Codec> kAll{
    {Lossy::kNone, false}, {Lossy::kBF16, false}, {Lossy::kNone, true}, {Lossy::kBF16, true}};

std::vector<float> special_values() {
  using Limits = std::numeric_limits<float>;
  std::vector<float> values{0.0f,
                            -0.0f,
                            1.0f,
                            -1.0f,
                            Limits::infinity(),
                            -Limits::infinity(),
                            Limits::quiet_NaN(),
                            Limits::denorm_min(),
                            -Limits::denorm_min(),
                            Limits::min(),
                            Limits::max(),
                            Limits::lowest()};
  values.push_back(std::bit_cast<float>(0x7F800001u));  // signalling, payload lost by a plain cut
  values.push_back(std::bit_cast<float>(0xFFFFFFFFu));
  return values;
}

void expect_what_round_trip_says(Codec codec, const std::vector<float>& values) {
  Bytes encoded;
  encode(codec, values, encoded);
  EXPECT_LE(encoded.size(), max_encoded_size(codec, values.size())) << name(codec);
  std::vector<float> decoded(values.size(), 42.0f);
  const Status status = decode(codec, encoded, decoded);
  ASSERT_TRUE(status.ok()) << name(codec) << ' ' << status.error().text();
  std::vector<float> expected = values;
  round_trip(codec, expected);
  EXPECT_EQ(bits_of(decoded), bits_of(expected)) << name(codec) << ' ' << values.size();
  if (codec.lossy == Lossy::kNone) {
    EXPECT_EQ(bits_of(decoded), bits_of(values));
  }
}

TEST(Codec, DecodesToWhatRoundTripPromises) {
  for (const Codec codec : kAll) {
    for (const std::size_t size : {0, 1, 2, 3, 7, 255, 1000, 131072, 131073, 300001}) {
      expect_what_round_trip_says(codec, gradient(size));
    }
  }
}

TEST(Codec, KeepsNanInfinityZeroAndDenormals) {
  for (const Codec codec : kAll) expect_what_round_trip_says(codec, special_values());
  std::vector<float> values = special_values();
  round_trip({Lossy::kBF16, true}, values);
  EXPECT_TRUE(std::isinf(values[4]) && values[4] > 0);
  EXPECT_TRUE(std::isinf(values[5]) && values[5] < 0);
  EXPECT_TRUE(std::isnan(values[6]));
  EXPECT_TRUE(std::signbit(values[1]));
  EXPECT_TRUE(std::isnan(values[12]));
  EXPECT_TRUE(std::isnan(values[13]));
}

TEST(Codec, RoundsToNearestEven) {
  const struct {
    std::uint32_t bits;
    std::uint16_t rounded;
  } rows[] = {
      {0x3F800000, 0x3F80}, {0x3F807FFF, 0x3F80}, {0x3F808000, 0x3F80},  // tie to even, down
      {0x3F808001, 0x3F81}, {0x3F818000, 0x3F82},                        // tie to even, up
      {0x00000001, 0x0000}, {0x00008001, 0x0001}, {0x7F7FFFFF, 0x7F80},  // overflow
      {0x80000000, 0x8000}, {0x7F800001, 0x7FC0}, {0xFF800001, 0xFFC0},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(to_bf16(std::bit_cast<float>(row.bits)), row.rounded) << std::hex << row.bits;
  }
}

TEST(Codec, RoundTripTwiceIsRoundTripOnce) {
  std::vector<float> once = gradient(1000);
  round_trip({Lossy::kBF16, false}, once);
  std::vector<float> twice = once;
  round_trip({Lossy::kBF16, false}, twice);
  EXPECT_EQ(bits_of(once), bits_of(twice));
}

TEST(Codec, CompressesGradientsAndZeros) {
  Bytes encoded;
  const auto values = gradient(1 << 20);
  encode({Lossy::kBF16, true}, values, encoded);
  EXPECT_LT(encoded.size(), values.size() * 4 / 2.7);
  encode({Lossy::kNone, true}, values, encoded);
  EXPECT_LT(encoded.size(), values.size() * 4 / 1.1);
  encode({Lossy::kBF16, true}, std::vector<float>(1 << 20), encoded);
  EXPECT_LT(encoded.size(), 2000u);
}

TEST(Codec, EncodesTheSameBytesIntoAnyBuffer) {
  const auto values = gradient(200'000);
  for (const Codec codec : kAll) {
    Bytes first;
    Bytes second(17, std::byte{9});
    encode(codec, values, first);
    encode(codec, values, second);
    EXPECT_EQ(first, second);
  }
}

TEST(Codec, CarriesIntegersAsTheyAre) {
  for (const bool zstd : {false, true}) {
    for (const std::size_t size : {0, 1, 7, 131072, 400001}) {
      Bytes raw(size);
      for (std::size_t i = 0; i < size; ++i) raw[i] = std::byte(i % 97 * (i % 3));
      const Codec codec{Lossy::kBF16, zstd};
      Bytes encoded;
      encode_bytes(codec, raw, encoded);
      EXPECT_LE(encoded.size(), max_encoded_bytes_size(codec, size));
      Bytes decoded(size);
      ASSERT_TRUE(decode_bytes(codec, encoded, decoded).ok());
      EXPECT_EQ(decoded, raw);
    }
  }
}

TEST(Codec, ParsesItsOwnNames) {
  for (const Codec codec : kAll) EXPECT_EQ(*parse(name(codec)), codec);
  for (const char* text :
       {"none", "bf16+zstd", "fp8", "fp8+zstd1", "int8+zstd", "int4+zstd9", "int2+zstd"}) {
    ASSERT_TRUE(parse(text).ok()) << text;
    EXPECT_EQ(name(*parse(text)), text);
  }
  for (const char* text : {"", "zstd", "BF16", "bf16+", "bf16+zstd ", "fp16", "int8+zstd0",
                           "int8+zstd10", "int8+zstd-", "int8+lz4", "+zstd", "topk", "powersgd"}) {
    ASSERT_FALSE(parse(text).ok()) << text;
    EXPECT_EQ(parse(text).error().code, Code::kJobValue);
  }
}

// ---- bf16 tensors

/// Every bf16 there is, signalling NaNs too.
std::vector<std::uint16_t> all_words() {
  std::vector<std::uint16_t> words(1 << 16);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = static_cast<std::uint16_t>(i);
  return words;
}

std::vector<std::uint16_t> rounded(const std::vector<float>& values) {
  std::vector<std::uint16_t> words;
  for (const float value : values) words.push_back(to_bf16(value));
  return words;
}

TEST(CodecOfBF16, KeepsEveryBit) {
  for (const Codec codec : kAll) {
    for (const auto& words : {all_words(), rounded(gradient(300001)), rounded({})}) {
      Bytes encoded;
      encode(codec, words, encoded);
      EXPECT_LE(encoded.size(), max_encoded_size({Lossy::kBF16, codec.zstd}, words.size()));
      std::vector<std::uint16_t> decoded(words.size(), 42);
      const Status status = decode(codec, encoded, decoded);
      ASSERT_TRUE(status.ok()) << name(codec) << ' ' << status.error().text();
      EXPECT_EQ(decoded, words) << name(codec);
    }
  }
}

TEST(CodecOfBF16, LooksAsF32ThatWasRoundedOnTheWay) {
  const auto values = gradient(200'000);
  for (const Codec codec : kAll) {
    Bytes narrow, wide;
    encode(codec, rounded(values), narrow);
    encode({Lossy::kBF16, codec.zstd}, values, wide);
    EXPECT_EQ(narrow, wide) << name(codec);
  }
}

TEST(CodecOfBF16, RefusesEveryTruncationAndWrongSize) {
  const auto words = rounded(gradient(50));
  for (const Codec codec : kAll) {
    Bytes encoded;
    encode(codec, words, encoded);
    std::vector<std::uint16_t> out(words.size());
    for (std::size_t size = 0; size < encoded.size(); ++size) {
      EXPECT_FALSE(decode(codec, BytesView(encoded).first(size), out).ok()) << name(codec) << size;
    }
    EXPECT_FALSE(decode(codec, encoded, std::span(out).first(49)).ok());
    encoded.push_back(std::byte{0});
    EXPECT_FALSE(decode(codec, encoded, out).ok());
  }
}

// ---- hostile encodings

Bytes plane(std::uint8_t mode, BytesView content, std::uint32_t length) {
  Bytes bytes(5 + content.size());
  store(bytes.data(), mode);
  store(bytes.data() + 1, length);
  std::copy(content.begin(), content.end(), bytes.begin() + 5);
  return bytes;
}

Bytes plane(std::uint8_t mode, BytesView content) {
  return plane(mode, content, static_cast<std::uint32_t>(content.size()));
}

Bytes frame(const Bytes& content, bool with_size = true) {
  Bytes out(ZSTD_compressBound(content.size()));
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, with_size ? 1 : 0);
  out.resize(ZSTD_compress2(context, out.data(), out.size(), content.data(), content.size()));
  ZSTD_freeCCtx(context);
  return out;
}

Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// 1,000 zeros behind so many empty blocks, which zstd passes over (RFC 8878, 3.1.1).
Bytes padded(std::size_t empty_blocks) {
  Bytes frame(4 + 3 + 3 * empty_blocks + 4);
  store(frame.data(), std::uint32_t{0xFD2FB528});
  store(frame.data() + 4, std::uint8_t{0x60});  // one segment, its size in two bytes
  store(frame.data() + 5, std::uint16_t{1000 - 256});
  std::byte* last = frame.data() + frame.size() - 4;
  store(last, std::uint32_t{1000 << 3 | 1 << 1 | 1});  // a byte, 1,000 times
  return frame;
}

TEST(Codec, RefusesHostileFrames) {
  constexpr std::size_t kSize = 1000;
  const Bytes zeros(kSize);
  const Bytes good = frame(zeros);
  Bytes damaged = good;
  damaged.back() ^= std::byte{0xFF};
  Bytes cut = good;
  cut.pop_back();
  Bytes skippable(8 + 4);
  store(skippable.data(), std::uint32_t{0x184D2A50});
  store(skippable.data() + 4, std::uint32_t{4});
  const struct {
    const char* what;
    Bytes encoded;
    bool accepted;
  } rows[] = {
      {"a good frame", plane(1, good), true},
      {"a good raw plane", plane(0, zeros), true},
      {"nothing", {}, false},
      {"half a plane header", Bytes(3), false},
      {"length beyond the end", plane(1, good, 1 << 30), false},
      {"length of 4 GiB", plane(0, zeros, 0xFFFFFFFF), false},
      {"unknown mode", plane(2, zeros), false},
      {"a bomb of 64 MiB", plane(1, frame(Bytes(64 << 20))), false},
      {"unknown size", plane(1, frame(zeros, false)), false},
      {"one byte too many inside", plane(1, frame(Bytes(kSize + 1))), false},
      {"one byte too few inside", plane(1, frame(Bytes(kSize - 1))), false},
      {"few empty blocks", plane(1, padded(100)), true},
      {"longer than the longest, by empty blocks", plane(1, padded(400)), false},
      {"two frames", plane(1, joined(good, good)), false},
      {"a skippable frame", plane(1, skippable), false},
      {"a frame and a skippable one", plane(1, joined(good, skippable)), false},
      {"a byte after the frame", plane(1, joined(good, Bytes(1))), false},
      {"a byte after the plane", joined(plane(1, good), Bytes(1)), false},
      {"a cut frame", plane(1, cut), false},
      {"not zstd", plane(1, zeros), false},
      {"an empty frame", plane(1, {}), false},
      {"a short raw plane", plane(0, Bytes(kSize - 1)), false},
      {"a long raw plane", plane(0, Bytes(kSize + 1)), false},
  };
  for (const auto& row : rows) {
    Bytes out(kSize);
    const Status status = decode_bytes({Lossy::kNone, true}, row.encoded, out);
    EXPECT_EQ(status.ok(), row.accepted) << row.what;
    if (!status.ok()) {
      EXPECT_EQ(status.error().code, Code::kDecompress) << row.what;
    }
  }
}

TEST(Codec, RefusesEveryTruncationAndWrongSize) {
  const auto values = gradient(50);
  for (const Codec codec : kAll) {
    Bytes encoded;
    encode(codec, values, encoded);
    std::vector<float> out(values.size());
    for (std::size_t size = 0; size < encoded.size(); ++size) {
      EXPECT_FALSE(decode(codec, BytesView(encoded).first(size), out).ok()) << name(codec) << size;
    }
    std::vector<float> longer(values.size() + 1);
    EXPECT_FALSE(decode(codec, encoded, longer).ok());
    EXPECT_FALSE(decode(codec, encoded, std::span(out).first(49)).ok());
    encoded.push_back(std::byte{0});
    EXPECT_FALSE(decode(codec, encoded, out).ok());
  }
}

TEST(Codec, SurvivesRandomDamage) {
  const Random random(3, "damage");
  const auto values = gradient(3000);
  Bytes encoded;
  encode({Lossy::kBF16, true}, values, encoded);
  std::vector<float> out(values.size());
  for (std::uint64_t round = 0; round < 2000; ++round) {
    Bytes damaged = encoded;
    for (std::uint64_t flip = 0; flip < 3; ++flip) {
      damaged[random.below(damaged.size(), round, flip)] ^=
          std::byte(1 + random.bits(round, flip) % 255);
    }
    const Status status = decode({Lossy::kBF16, true}, damaged, out);
    if (!status.ok()) {
      EXPECT_EQ(status.error().code, Code::kDecompress);
    }
  }
}

}  // namespace
}  // namespace reef::codec
