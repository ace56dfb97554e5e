#include "ops/codec/power_sgd.h"

#include <cmath>
#include <limits>

#include "values.h"

namespace reef::codec {
namespace {

constexpr Codec kExact{Lossy::kNone, false};

/// Two matrices of low rank and a vector, one behind the other.
const std::vector<Matrix> kParts{{40, 60}, {1, 33}, {70, 20}};

std::vector<float> of_rank(std::size_t rank, const Matrix& part, std::uint64_t seed) {
  std::vector<float> out(part.elements());
  for (std::size_t c = 0; c < rank; ++c) {
    const auto left = gradient(part.rows, seed + 2 * c),
               right = gradient(part.columns, seed + 2 * c + 1);
    for (std::size_t i = 0; i < part.rows; ++i) {
      for (std::size_t j = 0; j < part.columns; ++j) {
        out[i * part.columns + j] += 1e3f * left[i] * right[j];
      }
    }
  }
  return out;
}

std::vector<float> parts_of_rank(std::size_t rank) {
  std::vector<float> all;
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    const auto part = of_rank(rank, kParts[i], 1000 * i);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

double length(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += double(value) * double(value);
  return std::sqrt(sum);
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> difference(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b[i];
  return length(difference);
}

std::vector<float> decoded(PowerSgdCoder& coder, const Bytes& encoded) {
  std::vector<float> out(coder.elements(), 42.0f);
  const Status status = coder.decode(encoded, out);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
  return out;
}

TEST(PowerSgd, FindsAMatrixOfItsRankAtOnce) {
  PowerSgdCoder coder({3, kExact}, kParts);
  EXPECT_EQ(coder.factor_elements(), 3u * (40 + 60) + 33 + 3 * (70 + 20));
  Feedback feedback = coder.begin();
  Bytes encoded;
  for (const std::size_t rank : {1, 2, 3}) {
    const std::vector<float> values = parts_of_rank(rank);
    feedback = coder.begin();
    coder.encode(values, feedback, encoded);
    EXPECT_LE(encoded.size(), coder.max_encoded_size());
    EXPECT_LT(distance(decoded(coder, encoded), values), 1e-5 * length(values)) << rank;
  }
}

TEST(PowerSgd, FindsTheLargestPartOfWhatIsOfHigherRank) {
  // The same matrix again and again, without its residual: the search goes on where it ended.
  PowerSgdCoder coder({2, kExact}, {{40, 60}});
  std::vector<float> values = of_rank(2, {40, 60}, 1);
  const std::vector<float> noise = gradient(values.size(), 99);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += 0.01f * noise[i];
  Feedback feedback = coder.begin();
  Bytes encoded;
  double error = 0;
  for (int step = 0; step < 5; ++step) {
    std::fill(feedback.residual.begin(), feedback.residual.end(), 0.0f);
    coder.encode(values, feedback, encoded);
    error = distance(decoded(coder, encoded), values) / length(values);
  }
  EXPECT_LT(error, 1.1 * 0.01 * length(noise) / length(values));
}

TEST(PowerSgd, LosesNothingWithFeedback) {
  for (const Codec factors : {kExact, Codec{Lossy::kBF16, true}, Codec{Lossy::kInt8, true}}) {
    PowerSgdCoder sender({2, factors}, kParts), receiver({2, factors}, kParts);
    Feedback feedback = sender.begin();
    const std::size_t size = sender.elements();
    std::vector<double> given(size), seen(size);
    std::vector<float> out(size);
    Bytes encoded;
    double largest = 0;
    for (std::uint64_t step = 0; step < 100; ++step) {
      const std::vector<float> values = gradient(size, step);
      sender.encode(values, feedback, encoded);
      ASSERT_TRUE(receiver.decode(encoded, out).ok());
      for (std::size_t i = 0; i < size; ++i) {
        given[i] += double(values[i]);
        seen[i] += double(out[i]);
      }
      largest = std::max(largest, length(feedback.residual) / length(values));
    }
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_NEAR(given[i], seen[i] + double(feedback.residual[i]), 1e-5) << i;
    }
    EXPECT_LT(largest, 50) << "the residual grows without end";
  }
}

TEST(PowerSgd, GoesOnWithTheSameBytesFromASavedResidual) {
  const PowerSgd codec{2, {Lossy::kBF16, true}};
  PowerSgdCoder first(codec, kParts), moved(codec, kParts);
  Feedback feedback = first.begin();
  Bytes expected, encoded;
  for (std::uint64_t step = 0; step < 3; ++step) {
    first.encode(gradient(first.elements(), step), feedback, encoded);
  }
  Feedback restored =
      restore(save(feedback), feedback.residual.size(), feedback.warm.size()).value();
  first.encode(gradient(first.elements(), 3), feedback, expected);
  moved.encode(gradient(first.elements(), 3), restored, encoded);
  EXPECT_EQ(encoded, expected);
  EXPECT_EQ(restored, feedback);
}

TEST(PowerSgd, SendsZerosAndDependentColumnsAsTheyAre) {
  PowerSgdCoder coder({4, kExact}, kParts);
  Feedback feedback = coder.begin();
  Bytes encoded;
  const std::vector<float> zeros(coder.elements());
  coder.encode(zeros, feedback, encoded);
  EXPECT_EQ(decoded(coder, encoded), zeros);
  EXPECT_GT(length(feedback.warm), 0) << "nothing to begin the next search with";
  const std::vector<float> one = parts_of_rank(1);  // of rank 1, sought with rank 4
  coder.encode(one, feedback, encoded);
  EXPECT_LT(distance(decoded(coder, encoded), one), 1e-5 * length(one));
}

TEST(PowerSgd, ShowsPoisonOnceAndForgetsIt) {
  for (const float poison :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    PowerSgdCoder coder({2, {Lossy::kBF16, true}}, kParts);
    Feedback feedback = coder.begin();
    Bytes encoded;
    std::vector<float> values = gradient(coder.elements());
    values[77] = poison;
    coder.encode(values, feedback, encoded);
    EXPECT_TRUE(std::isnan(decoded(coder, encoded)[77]));
    for (const float left : feedback.residual) ASSERT_TRUE(std::isfinite(left));
    for (const float warm : feedback.warm) ASSERT_TRUE(std::isfinite(warm));
    coder.encode(gradient(coder.elements()), feedback, encoded);
    for (const float value : decoded(coder, encoded)) ASSERT_TRUE(std::isfinite(value));
  }
}

TEST(PowerSgd, SurvivesDamage) {
  const std::vector<Matrix> parts{{12, 10}, {1, 5}};
  for (const Codec factors : {kExact, Codec{Lossy::kBF16, true}}) {
    PowerSgdCoder coder({1, factors}, parts);
    Feedback feedback = coder.begin();
    Bytes encoded;
    coder.encode(gradient(coder.elements()), feedback, encoded);
    expect_survives_damage<std::vector<float>>(
        encoded, std::vector<float>(coder.elements()),
        [&coder](BytesView bytes, std::vector<float>& out) { return coder.decode(bytes, out); });
    encoded.push_back(std::byte{0});
    std::vector<float> out(coder.elements());
    EXPECT_EQ(coder.decode(encoded, out).error().code, Code::kDecompress);
  }
}

}  // namespace
}  // namespace reef::codec
