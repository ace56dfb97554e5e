#include "ops/codec/choose.h"

#include <cmath>
#include <limits>

#include "ops/codec/measure.h"
#include "values.h"

namespace reef::codec {
namespace {

/// A processor: what zstd saves it pays for with time. Seconds a byte of 2 GB/s are 5e-10.
const std::vector<Measured> kCodecs{
    {{Lossy::kNone, false}, 1.00, 0.5e-10, 0.5e-10, 0},
    {{Lossy::kNone, true}, 0.92, 10e-10, 4e-10, 0},
    {{Lossy::kBF16, false}, 0.50, 1e-10, 1e-10, 2e-3},
    {{Lossy::kBF16, true}, 0.34, 6e-10, 3e-10, 2e-3},
    {{Lossy::kInt8, false}, 0.254, 1e-10, 1e-10, 7e-3},
    {{Lossy::kInt8, true}, 0.23, 5e-10, 3e-10, 7e-3},
    {{Lossy::kInt8, true, 3}, 0.229, 40e-10, 3e-10, 7e-3},
    {{Lossy::kInt4, false}, 0.14, 2e-10, 2e-10, 0.12},
    {{Lossy::kInt4, true}, 0.11, 4e-10, 3e-10, 0.12},
};
constexpr double kMega = 1e6, kGiga = 1e9, kTera = 1e12;

std::string chosen(const LineMeasured& line, const EdgeNeeds& edge,
                   std::optional<Codec> current = std::nullopt) {
  const auto choice = choose(kCodecs, line, edge, current);
  return choice ? name(choice->codec) : "nothing";
}

TEST(Choose, ByRateAndErrorBound) {
  const struct {
    double rate;
    double largest_error;
    const char* codec;
  } rows[] = {
      {100 * kGiga, 1, "none"},          // nothing to gain
      {100 * kGiga, 0, "none"},          //
      {100 * kMega, 0, "none+zstd"},     // 8 % are 8 % on a slow line
      {10 * kGiga, 0, "none"},           // zstd would be slower than the line
      {10 * kGiga, 1e-2, "int8"},        // 1.25 GB/s: 2e-10 s a byte against 5 of zstd
      {10 * kGiga, 5e-3, "bf16"},        //
      {100 * kMega, 5e-3, "bf16+zstd"},  //
      {100 * kMega, 1e-2, "int8+zstd"},  // and not level 3, which gains too little
      {100 * kMega, 1, "int4+zstd"},     //
      {2 * kGiga, 1, "int4+zstd"},       //
      {8 * kGiga, 1, "int4"},            //
      {10 * kGiga, 1, "int8"},           // no slower than int4, and loses less
  };
  for (const auto& row : rows) {
    EXPECT_EQ(chosen({row.rate, 1e-3}, {64e6, 8, row.largest_error}), row.codec)
        << row.rate << ' ' << row.largest_error;
  }
}

TEST(Choose, LosesNothingWhereTheRoundTripIsTheLimit) {
  // 40 KB messages, one at a time, over 100 ms: no codec makes that shorter.
  EXPECT_EQ(chosen({kGiga, 0.1}, {40e3, 1, 1}), "none");
  // With enough under way the line is the limit.
  EXPECT_EQ(chosen({kGiga, 0.1}, {40e3, 10000, 1}), "int4+zstd");
}

TEST(Choose, TakesThePlainestOfEqualLevels) {
  EXPECT_EQ(chosen({10 * kMega, 1e-3}, {64e6, 8, 1e-2}), "int8+zstd");
}

TEST(Choose, ChangesItsMindWhenTheLineDoes) {
  const EdgeNeeds edge{64e6, 8, 1e-2};
  std::optional<Codec> current;
  const struct {
    double rate;
    const char* codec;
  } rows[] = {
      {100 * kMega, "int8+zstd"},  // at first
      {120 * kMega, "int8+zstd"},  // a little faster: the same
      {4.2 * kGiga, "int8+zstd"},  // zstd is the limit now; without it 3 % less
      {10 * kGiga, "int8"},        // 2.4 times as fast
      {4.2 * kGiga, "int8"},       // slow again, and near the best
      {1 * kGiga, "int8"},         // zstd would gain 10 %, less than a change is worth
      {100 * kGiga, "none"},       // as fast as int8, and loses nothing
      {80 * kGiga, "none"},        //
      {20 * kGiga, "int8"},        // 1.6 times as fast
      {1 * kTera, "none"},         // nothing to gain by losing anything
      {300 * kMega, "int8+zstd"},  // nothing to keep: the best
  };
  for (const auto& row : rows) {
    const auto choice = choose(kCodecs, {row.rate, 1e-3}, edge, current);
    ASSERT_TRUE(choice.has_value());
    EXPECT_EQ(name(choice->codec), row.codec) << row.rate;
    current = choice->codec;
  }
}

TEST(Choose, StaysWithinAFifthOfTheBestAlongAnyPath) {
  const Random random(5, "lines");
  const EdgeNeeds edge{8e6, 4, 1};
  std::optional<Codec> current;
  int changes = 0;
  for (std::uint64_t step = 0; step < 1000; ++step) {
    const LineMeasured line{std::exp(double(random.uniform(0, step)) * 11) * kMega,
                            double(random.uniform(1, step)) * 2e-3};
    const auto choice = choose(kCodecs, line, edge, current);
    ASSERT_TRUE(choice.has_value());
    EXPECT_LE(choice->error, edge.largest_error);
    double best = seconds_per_message(*choice, line, edge);
    for (const Measured& codec : kCodecs) {
      if (codec.error <= edge.largest_error)
        best = std::min(best, seconds_per_message(codec, line, edge));
    }
    EXPECT_LE(seconds_per_message(*choice, line, edge), 1.2 * best);
    changes += current && !(*current == choice->codec);
    current = choice->codec;
  }
  EXPECT_GT(changes, 10);
}

TEST(Choose, LeavesACodecThatIsOutOfBounds) {
  EXPECT_EQ(chosen({100 * kMega, 1e-3}, {64e6, 8, 5e-3}, Codec{Lossy::kInt4, true}), "bf16+zstd");
}

TEST(Choose, SaysSoWhenNothingIsWithinBounds) {
  EXPECT_FALSE(choose({}, {kMega, 0}, {1e6, 1, 1}).has_value());
  const std::vector<Measured> lossy{kCodecs[2]};
  EXPECT_FALSE(choose(lossy, {kMega, 0}, {1e6, 1, 0}).has_value());
  EXPECT_FALSE(choose(kCodecs, {0, 0}, {1e6, 1, 1}).has_value()) << "a line without a rate";
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(choose(kCodecs, {nan, 0}, {1e6, 1, 1}).has_value());
}

/// Each look at it is one microsecond later.
class Ticking final : public Clock {
 public:
  Time now() const override { return now_ += std::chrono::microseconds(1); }

 private:
  mutable Time now_{};
};

TEST(Measure, TellsSizeTimeAndErrorOfEveryCodec) {
  const std::vector<float> sample = gradient(100'000);
  const auto measured = measure(sample, edge_codecs(), Ticking());
  ASSERT_EQ(measured.size(), edge_codecs().size());
  for (const Measured& one : measured) {
    EXPECT_DOUBLE_EQ(one.encode_seconds, 1e-6 / 400'000) << name(one.codec);
    EXPECT_DOUBLE_EQ(one.decode_seconds, 1e-6 / 400'000) << name(one.codec);
    Bytes encoded;
    encode(one.codec, std::span<const float>(sample), encoded);
    EXPECT_DOUBLE_EQ(one.ratio, double(encoded.size()) / 400'000);
    const double bounds[] = {0, 2e-3, 0.03, 0.01, 0.15};
    EXPECT_LE(one.error, bounds[std::size_t(one.codec.lossy)]) << name(one.codec);
    EXPECT_EQ(one.error == 0, one.codec.lossy == Lossy::kNone) << name(one.codec);
  }
}

}  // namespace
}  // namespace reef::codec
