#include "ops/codec/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "values.h"

namespace reef::codec {
namespace {

constexpr Codec kExact{Lossy::kNone, false};

const std::vector<TopK> kAll{{0.01, {Lossy::kInt8, true}}, {0.01, kExact},
                             {0.1, {Lossy::kBF16, true}},  {0.3, {Lossy::kInt4, false}},
                             {1.0, {Lossy::kFP8, true}},   {0.0001, {Lossy::kNone, true}}};

std::vector<float> decoded(const TopK& codec, const Bytes& encoded, std::size_t size) {
  std::vector<float> out(size, 42.0f);
  const Status status = TopKCoder(codec).decode(encoded, out);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
  return out;
}

/// By sorting: the k largest magnitudes, ties to the lower position; zeros never.
std::vector<float> expected_top(const std::vector<float>& values, std::size_t k) {
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

void expect_exact(double fraction, const std::vector<float>& values) {
  const TopK codec{fraction, kExact};
  Bytes encoded;
  TopKCoder(codec).encode(values, encoded);
  EXPECT_LE(encoded.size(), max_encoded_size(codec, values.size()));
  EXPECT_EQ(bits_of(decoded(codec, encoded, values.size())),
            bits_of(expected_top(values, most_kept(codec, values.size()))));
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

TEST(TopK, CountsWhatItKeeps) {
  EXPECT_EQ(most_kept({0.01}, 0), 0u);
  EXPECT_EQ(most_kept({0.01}, 1), 1u);
  EXPECT_EQ(most_kept({0.01}, 100), 1u);
  EXPECT_EQ(most_kept({0.01}, 101), 2u);
  EXPECT_EQ(most_kept({1.0}, 101), 101u);
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
}

// ---- hostile encodings

TEST(TopK, SurvivesDamage) {
  for (const TopK& codec :
       {TopK{0.05, kExact}, TopK{0.05, {Lossy::kInt8, true}}, TopK{0.02, {Lossy::kInt4, false}}}) {
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
