#include "ops/codec/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "values.h"

namespace reef::codec {
namespace {

constexpr Codec kExact{Lossy::kNone, false};

const std::vector<TopK> kAll{{0.01, {Lossy::kInt8, true}},     {0.01, kExact},
                             {0.1, {Lossy::kBF16, true}},      {0.3, {Lossy::kInt4, false}},
                             {1.0, {Lossy::kFP8, true}},       {0.0001, {Lossy::kNone, true}},
                             top_k_in_two_bits(1.0 / 64),      top_k_in_two_bits(1.0 / 64, 4096),
                             {0.1, {Lossy::kInt2, false}, 200}};

std::vector<float> decoded(const TopK& codec, const Bytes& encoded, std::size_t size) {
  std::vector<float> out(size, 42.0f);
  const Status status = TopKCoder(codec).decode(encoded, out);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
  return out;
}

/// By sorting: the k largest magnitudes, ties to the lower position; zeros never.
std::vector<float> expected_top(std::span<const float> values, std::size_t k) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&values](std::size_t a, std::size_t b) {
    return std::abs(values[a]) > std::abs(values[b]);
  });
  std::vector<float> top(values.size());
  for (std::size_t i = 0; i < k; ++i) {
    if (values[order[i]] != 0) top[order[i]] = values[order[i]];
  }
  return top;
}

std::vector<float> expected_top(const TopK& codec, std::span<const float> values) {
  if (codec.chunk == 0) return expected_top(values, most_kept(codec, values.size()));
  std::vector<float> all;
  for (std::size_t at = 0; at < values.size(); at += codec.chunk) {
    const auto part = values.subspan(at, std::min(codec.chunk, values.size() - at));
    const auto top = expected_top(part, most_kept({codec.fraction}, part.size()));
    all.insert(all.end(), top.begin(), top.end());
  }
  return all;
}

void expect_exact(double fraction, const std::vector<float>& values, std::size_t chunk = 0) {
  const TopK codec{fraction, kExact, chunk};
  Bytes encoded;
  TopKCoder(codec).encode(values, encoded);
  EXPECT_LE(encoded.size(), max_encoded_size(codec, values.size()));
  EXPECT_EQ(bits_of(decoded(codec, encoded, values.size())), bits_of(expected_top(codec, values)))
      << fraction << ' ' << chunk << ' ' << values.size();
}

TEST(TopK, KeepsExactlyTheLargest) {
  for (const std::size_t size : {0, 1, 2, 100, 255, 256, 257, 5000, 131072, 400'001}) {
    for (const double fraction : {0.0001, 0.01, 0.5, 1.0}) expect_exact(fraction, gradient(size));
  }
}

TEST(TopK, KeepsExactlyTheLargestWhereASampleMisleads) {
  // Larger than what is searched without a sample.
  constexpr std::size_t kSize = 300'000;
  std::vector<float> few(kSize), many(kSize, 0.5f), steps(kSize), late(kSize);
  for (std::size_t i = 0; i < 50; ++i) few[i * 5000 + 77] = float(i) - 25.5f;
  for (std::size_t i = 0; i < kSize; ++i) {
    steps[i] = float(i % 7) - 3;                    // seven values: nothing but ties
    late[i] = i < kSize - 2000 ? 1e-6f : float(i);  // all that is large at one place
  }
  many[123'456] = -1;
  for (const double fraction : {0.00001, 0.001, 0.01, 0.3}) {
    for (const auto* values : {&few, &many, &steps, &late}) expect_exact(fraction, *values);
    expect_exact(fraction, std::vector<float>(kSize));
    expect_exact(fraction, std::vector<float>(kSize, -0.0f));
    expect_exact(fraction, std::vector<float>(kSize, std::numeric_limits<float>::denorm_min()));
  }
}

TEST(TopK, KeepsExactlyTheLargestOfEachChunk) {
  constexpr std::size_t kSize = 50'000;
  std::vector<float> few(kSize), steps(kSize), late(kSize), one_column(kSize);
  for (std::size_t i = 0; i < 50; ++i) few[i * 1000 + 77] = float(i) - 25.5f;
  for (std::size_t i = 0; i < kSize; ++i) {
    steps[i] = float(i % 7) - 3;                    // seven values: nothing but ties
    late[i] = i < kSize - 2000 ? 1e-6f : float(i);  // all that is large at one place
    one_column[i] = i % 256 == 9 ? 1 + float(i) : 1e-6f * float(i);
  }
  for (const double fraction : {0.0001, 1.0 / 64, 0.03, 0.3, 1.0}) {
    for (const std::size_t chunk : {1, 64, 511, 512, 4096, 4100, 65536}) {
      for (const std::size_t size : {0, 1, 63, 64, 65, 4095, 4096, 4097, 20'000})
        expect_exact(fraction, gradient(size), chunk);
      for (const auto* values : {&few, &steps, &late, &one_column})
        expect_exact(fraction, *values, chunk);
      expect_exact(fraction, std::vector<float>(kSize), chunk);
      expect_exact(fraction, std::vector<float>(kSize, 0.5f), chunk);
    }
  }
}

TEST(TopK, CountsWhatItKeeps) {
  EXPECT_EQ(most_kept({0.01}, 0), 0u);
  EXPECT_EQ(most_kept({0.01}, 1), 1u);
  EXPECT_EQ(most_kept({0.01}, 100), 1u);
  EXPECT_EQ(most_kept({0.01}, 101), 2u);
  EXPECT_EQ(most_kept({1.0}, 101), 101u);
  EXPECT_EQ(most_kept({0.01, kExact, 100}, 99), 1u);
  EXPECT_EQ(most_kept({0.01, kExact, 100}, 200), 2u);
  EXPECT_EQ(most_kept({0.01, kExact, 101}, 203), 5u);
}

TEST(TopK, LosesNothingWithFeedback) {
  // Sum of what was decoded + residual = sum of what was given.
  for (const TopK& codec : kAll) {
    constexpr std::size_t kSize = 3000;
    TopKCoder sender(codec), receiver(codec);
    std::vector<float> residual(kSize), out(kSize);
    std::vector<double> given(kSize), seen(kSize);
    Bytes encoded;
    for (std::uint64_t step = 0; step < 200; ++step) {
      const std::vector<float> values = gradient(kSize, step);
      sender.encode(values, residual, encoded);
      ASSERT_TRUE(receiver.decode(encoded, out).ok());
      for (std::size_t i = 0; i < kSize; ++i) {
        given[i] += double(values[i]);
        seen[i] += double(out[i]);
      }
    }
    for (std::size_t i = 0; i < kSize; ++i) {
      ASSERT_NEAR(given[i], seen[i] + double(residual[i]), 1e-5) << name(codec.values) << ' ' << i;
    }
  }
}

/// Length of sum - times x values, over length of times x values.
double missing(const std::vector<float>& values, const std::vector<double>& sum, int times) {
  double lost = 0, all = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double given = double(values[i]) * times;
    lost += (sum[i] - given) * (sum[i] - given);
    all += given * given;
  }
  return std::sqrt(lost / all);
}

TEST(TopK, InTwoBitsSendsAGradientWholeWhenItIsRepeated) {
  for (const std::size_t chunk : {0, 4096}) {
    const std::vector<float> values = gradient(10'000);
    TopKCoder coder(top_k_in_two_bits(1.0 / 64, chunk));
    std::vector<float> residual(values.size()), out(values.size());
    std::vector<double> sum(values.size());
    Bytes encoded;
    std::vector<double> left;
    for (int step = 1; step <= 1600; ++step) {
      coder.encode(values, residual, encoded);
      ASSERT_TRUE(coder.decode(encoded, out).ok());
      for (std::size_t i = 0; i < out.size(); ++i) sum[i] += double(out[i]);
      if (step == 100 || step == 400 || step == 1600) left.push_back(missing(values, sum, step));
    }
    // The residual stays as large as it is, so what is missing becomes a smaller and smaller part.
    EXPECT_LT(left[0], 0.5);
    EXPECT_LT(left[1], left[0] / 3);
    EXPECT_LT(left[2], left[1] / 3);
  }
}

TEST(TopK, InTwoBitsLosesLessThanFixedLevelsWould) {
  // Of what was kept: the squared error beside that of +-1 and +-3 thirds of the largest of 32.
  const std::vector<float> values = gradient(64 * 4096);
  Bytes encoded;
  TopKCoder({1.0 / 64, kExact, 4096}).encode(values, encoded);
  std::vector<float> kept = decoded({1.0 / 64, kExact, 4096}, encoded, values.size());
  std::erase(kept, 0.0f);
  ASSERT_EQ(kept.size(), 4096u);
  std::vector<float> seen = kept;
  round_trip({Lossy::kInt2, false}, seen);
  double ours = 0, theirs = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    float largest = 0;
    for (std::size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j)
      largest = std::max(largest, std::abs(kept[j]));
    const double third = double(largest) / 3, magnitude = std::abs(double(kept[i]));
    const double fixed = magnitude < 2 * third ? third : 3 * third;
    ours += std::pow(double(kept[i]) - double(seen[i]), 2);
    theirs += std::pow(magnitude - fixed, 2);
  }
  EXPECT_LT(ours, theirs / 4);
}

TEST(TopK, AddsWhatItDecodes) {
  for (const TopK& codec : kAll) {
    Bytes encoded;
    TopKCoder coder(codec);
    coder.encode(gradient(5000), encoded);
    const std::vector<float> seen = decoded(codec, encoded, 5000);
    std::vector<float> sum = gradient(5000, 1), expected = sum;
    for (std::size_t i = 0; i < sum.size(); ++i) {
      if (seen[i] != 0) expected[i] += 0.25f * seen[i];
    }
    ASSERT_TRUE(coder.decode_add(encoded, 0.25f, sum).ok());
    EXPECT_EQ(bits_of(sum), bits_of(expected));
    encoded.pop_back();
    EXPECT_FALSE(coder.decode_add(encoded, 1, sum).ok());
    EXPECT_EQ(bits_of(sum), bits_of(expected)) << "changed by a damaged encoding";
  }
}

TEST(TopK, LetsSmallValuesThroughInTheEnd) {
  // One value is a hundred times the other 999; each has its turn, and no residual grows for ever.
  const TopK codec{0.002, {Lossy::kInt8, true}};
  std::vector<float> values(1000, 0.01f), residual(1000), out(1000);
  values[500] = 1;
  TopKCoder coder(codec);
  Bytes encoded;
  std::vector<int> turns(1000);
  for (int step = 0; step < 3000; ++step) {
    coder.encode(values, residual, encoded);
    ASSERT_TRUE(coder.decode(encoded, out).ok());
    for (std::size_t i = 0; i < 1000; ++i) turns[i] += out[i] != 0;
  }
  EXPECT_GT(*std::min_element(turns.begin(), turns.end()), 0);
  for (const float left : residual) EXPECT_LT(std::abs(left), 0.01f * 2500);
}

TEST(TopK, GivesTheSameBytesFromAnyBuffers) {
  const auto values = gradient(200'000);
  for (const TopK& codec : kAll) {
    TopKCoder used(codec);
    Bytes first, second(17, std::byte{9}), other;
    used.encode(gradient(333, 5), other);
    used.encode(values, first);
    TopKCoder(codec).encode(values, second);
    EXPECT_EQ(first, second);
  }
}

TEST(TopK, WithBF16ValuesChangesNothingTheSecondTime) {
  const TopK codec{0.05, {Lossy::kBF16, true}};
  Bytes encoded;
  TopKCoder(codec).encode(gradient(10'000), encoded);
  const std::vector<float> once = decoded(codec, encoded, 10'000);
  TopKCoder(codec).encode(once, encoded);
  EXPECT_EQ(bits_of(decoded(codec, encoded, 10'000)), bits_of(once));
}

TEST(TopK, ShowsPoisonOnceAndForgetsIt) {
  for (const float poison :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    for (const TopK& codec : kAll) {
      std::vector<float> values = gradient(3000), residual(3000);
      values[1234] = poison;
      TopKCoder coder(codec);
      Bytes encoded;
      coder.encode(values, residual, encoded);
      EXPECT_FALSE(std::isfinite(decoded(codec, encoded, 3000)[1234]));
      for (const float left : residual) ASSERT_TRUE(std::isfinite(left));
      coder.encode(gradient(3000), residual, encoded);
      for (const float value : decoded(codec, encoded, 3000)) ASSERT_TRUE(std::isfinite(value));
    }
  }
}

TEST(TopK, FitsItsBudget) {
  // 1.5 % of the values, their places included, in less than 3 % of the bytes.
  Bytes encoded;
  TopKCoder({0.015, {Lossy::kInt8, true}}).encode(gradient(1 << 20), encoded);
  EXPECT_LT(double(encoded.size()), 0.01 * 4 * (1 << 20));
  TopKCoder({0.015, {Lossy::kBF16, false}}).encode(gradient(1 << 20), encoded);
  EXPECT_LT(double(encoded.size()), 0.015 * 4 * (1 << 20));
  // 1/64 in two bits: a byte and a little for a place, 2.5 bits for a value.
  for (const std::size_t chunk : {0, 4096}) {
    TopK two_bits = top_k_in_two_bits(1.0 / 64, chunk);
    TopKCoder(two_bits).encode(gradient(1 << 20), encoded);
    EXPECT_LT(double(encoded.size()), 4.0 * (1 << 20) / 195);
    two_bits.values.zstd = false;
    TopKCoder(two_bits).encode(gradient(1 << 20), encoded);
    EXPECT_LT(double(encoded.size()), 4.0 * (1 << 20) / 190);
  }
}

// ---- hostile encodings

TEST(TopK, SurvivesDamage) {
  for (const TopK& codec :
       {TopK{0.05, kExact}, TopK{0.05, {Lossy::kInt8, true}}, TopK{0.02, {Lossy::kInt4, false}},
        TopK{0.05, {Lossy::kInt2, false}, 100}, top_k_in_two_bits(0.1)}) {
    Bytes encoded;
    TopKCoder(codec).encode(gradient(600), encoded);
    TopKCoder coder(codec);
    expect_survives_damage<std::vector<float>>(
        encoded, std::vector<float>(600),
        [&coder](BytesView bytes, std::vector<float>& out) { return coder.decode(bytes, out); });
  }
}

Bytes sparse(std::uint32_t kept, const std::vector<int>& gaps, std::size_t values) {
  Bytes bytes(12);
  store(bytes.data(), kept);
  store(bytes.data() + 4, static_cast<std::uint32_t>(gaps.size()));
  store(bytes.data() + 8, static_cast<std::uint32_t>(gaps.size()));
  for (const int gap : gaps) bytes.push_back(static_cast<std::byte>(gap));
  bytes.resize(bytes.size() + 4 * values);
  return bytes;
}

TEST(TopK, InTwoBitsRefusesWhatNoEncoderWrites) {
  const TopK codec{0.005, {Lossy::kInt2, false}, 200};  // 3 of 600
  const auto status = [&codec](std::uint16_t small, std::uint16_t large, std::size_t code_bytes) {
    Bytes encoded = sparse(3, {5, 0, 7}, 1);
    store(encoded.data() + 15, small);
    store(encoded.data() + 17, large);
    encoded.resize(encoded.size() + code_bytes, std::byte{0xE4});
    std::vector<float> out(600);
    return TopKCoder(codec).decode(encoded, out);
  };
  EXPECT_TRUE(status(0x3F80, 0x4040, 16).ok());
  EXPECT_FALSE(status(0x3F80, 0x7F80, 16).ok()) << "an infinite level";
  EXPECT_FALSE(status(0x4040, 0x3F80, 16).ok()) << "levels that have changed places";
  EXPECT_FALSE(status(0x3F80, 0x4040, 15).ok()) << "a byte missing";
  EXPECT_FALSE(status(0x3F80, 0x4040, 17).ok()) << "a byte too many";
  EXPECT_EQ(status(0x3F80, 0x7F80, 16).error().code, Code::kDecompress);
}

TEST(TopK, RefusesWhatNoEncoderWrites) {
  constexpr std::size_t kSize = 600;
  const TopK codec{0.005, kExact};  // 3 of 600
  ASSERT_EQ(most_kept(codec, kSize), 3u);
  const struct {
    const char* what;
    Bytes encoded;
    bool accepted;
  } rows[] = {
      {"three", sparse(3, {0, 0, 5}, 3), true},
      {"none", sparse(0, {}, 0), true},
      {"the last element", sparse(1, {255, 255, 89}, 1), true},
      {"one behind the last", sparse(1, {255, 255, 90}, 1), false},
      {"far behind the last", sparse(3, {254, 254, 254}, 3), false},
      {"more than are kept", sparse(4, {0, 0, 0, 0}, 4), false},
      {"more than there are", sparse(601, std::vector<int>(601), 601), false},
      {"four billion", sparse(0xFFFFFFFF, {}, 0), false},
      {"fewer positions than values", sparse(3, {0, 255, 0}, 3), false},
      {"more positions than values", sparse(1, {0, 0}, 1), false},
      {"a gap to nowhere", sparse(1, {0, 255}, 1), false},
      {"only a gap", sparse(1, {255}, 1), false},
      {"gaps and no values", sparse(0, {255}, 0), false},
      {"a value missing", sparse(3, {0, 0, 0}, 2), false},
      {"a value too many", sparse(3, {0, 0, 0}, 4), false},
      {"no bytes", {}, false},
      {"half a header", Bytes(7), false},
  };
  for (const auto& row : rows) {
    std::vector<float> out(kSize);
    const Status status = TopKCoder(codec).decode(row.encoded, out);
    EXPECT_EQ(status.ok(), row.accepted) << row.what;
    if (!status.ok()) {
      EXPECT_EQ(status.error().code, Code::kDecompress) << row.what;
    }
  }
}

}  // namespace
}  // namespace reef::codec
