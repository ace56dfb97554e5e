#include "ops/codec/edge.h"

#include <gtest/gtest.h>

#include "runtime/base/random.h"

namespace reef::codec {
namespace {

TEST(EdgeCodec, ReadsWhatItWrites) {
  for (const char* text :
       {"none", "bf16+zstd", "int4+zstd3", "top-k:0.01:int8+zstd", "top-k:1:none",
        "top-k:0.015625/4096:int2+zstd", "top-k:0.5/64:int2", "power-sgd:4:bf16+zstd",
        "power-sgd:64:none", "auto:0.01", "auto:0", "auto:0.125"}) {
    const auto codec = parse_edge(text);
    ASSERT_TRUE(codec.ok()) << text;
    EXPECT_EQ(name(*codec), text);
  }
}

TEST(EdgeCodec, HasDefaults) {
  EXPECT_EQ(name(parse_edge("top-k:0.05").value()), "top-k:0.05:int8+zstd");
  EXPECT_EQ(name(parse_edge("power-sgd:2").value()), "power-sgd:2:bf16+zstd");
  EXPECT_EQ(name(parse_edge("auto").value()), "auto:0.01");
}

TEST(EdgeCodec, RefusesWithTheChoices) {
  for (const char* text : {"",
                           "rot13",
                           "top-k",
                           "top-k:",
                           "top-k:x",
                           "top-k:0.1x",
                           "top-k:0.1:rot13",
                           "top-k:0",
                           "top-k:-0.1",
                           "top-k:1.5",
                           "top-k:nan",
                           "top-k:0.1/",
                           "top-k:0.1/x",
                           "top-k:0.1/0",
                           "top-k:0.1/63",
                           "top-k:0.1/1048577",
                           "top-k:0.1/-64",
                           "top-k:/64",
                           "top-k:2/64",
                           "int2",
                           "int2+zstd",
                           "power-sgd:4:int2",
                           "power-sgd",
                           "power-sgd:0",
                           "power-sgd:65",
                           "power-sgd:4:auto",
                           "power-sgd:-1",
                           "auto:x",
                           "auto:1",
                           "auto:-0.1",
                           "auto:nan",
                           "auto:0.1:int8",
                           "none:0.1",
                           "top-k:0.1:int8:int8"}) {
    const auto codec = parse_edge(text);
    ASSERT_FALSE(codec.ok()) << text;
    EXPECT_EQ(codec.error().code, Code::kJobValue) << text;
    EXPECT_NE(codec.error().what.find("use "), std::string::npos) << codec.error().text();
  }
}

TEST(EdgeCodec, SaysWhatItDoes) {
  const auto is = [](const char* text, bool feedback, bool lossy) {
    const EdgeCodec codec = parse_edge(text).value();
    EXPECT_EQ(has_feedback(codec), feedback) << text;
    EXPECT_EQ(rounds(codec), lossy) << text;
  };
  is("none+zstd", false, false);
  is("bf16", false, true);
  is("top-k:1:none", true, true);
  is("power-sgd:4", true, true);
  is("auto:0", false, false);
  is("auto", false, true);
}

TEST(EdgeCodec, CutsTensorsIntoMatrices) {
  const std::vector<std::int64_t> matrix{3, 5}, vector{7}, cube{2, 3, 4};
  EXPECT_EQ(matrix_of(matrix), (Matrix{3, 5}));
  EXPECT_EQ(matrix_of(vector), (Matrix{1, 7}));
  EXPECT_EQ(matrix_of(cube), (Matrix{1, 24}));
  EXPECT_EQ(matrix_of({}), (Matrix{1, 1}));
}

/// What was decoded and what is left make up what was given, message after message.
TEST(FeedbackCoder, LosesNothingForGood) {
  const std::vector<Matrix> parts{{24, 16}, {1, 40}};
  for (const char* text :
       {"top-k:0.1", "top-k:0.3:none", "top-k:0.1/64:int2", "power-sgd:2", "power-sgd:1:none"}) {
    SCOPED_TRACE(text);
    const EdgeCodec codec = parse_edge(text).value();
    FeedbackCoder coder(codec, parts);
    ASSERT_EQ(coder.elements(), 24u * 16 + 40);
    Feedback feedback = coder.begin();
    EXPECT_EQ(feedback.warm.size(), warm_elements(codec, parts));
    const Random random(3, "edge");
    std::vector<double> given(coder.elements()), seen(coder.elements());
    std::vector<float> values(coder.elements()), decoded(coder.elements());
    for (std::uint64_t message = 0; message < 20; ++message) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = random.normal(message, i);
        given[i] += double(values[i]);
      }
      Bytes encoded;
      coder.encode(values, feedback, encoded);
      ASSERT_TRUE(coder.decode(encoded, decoded).ok());
      for (std::size_t i = 0; i < seen.size(); ++i) seen[i] += double(decoded[i]);
    }
    double left = 0;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      EXPECT_NEAR(seen[i] + double(feedback.residual[i]), given[i], 1e-3) << i;
      left += std::abs(double(feedback.residual[i]));
    }
    EXPECT_GT(left, 0);
  }
}

}  // namespace
}  // namespace reef::codec
