#include <limits>

#include "ops/codec/codec.h"
#include "ops/functional/functional.h"
#include "rig.h"

namespace reef::actors {
namespace {

constexpr std::uint64_t kSlotBytes = 4096;

struct Ends {
  explicit Ends(const std::string& codec, ops::DType dtype = ops::DType::kF32)
      : rig(tiny_job(1, 1), wire_plan(codec, 2, kSlotBytes, dtype)) {
    send = rig.make(rig.plan.actors[1]).value();
    receive = rig.make(rig.plan.actors[2]).value();
  }
  Token sent(const Token& value) {
    Token wire;
    const Status status = rig.run(*send, 0, {&value}, {&wire});
    EXPECT_TRUE(status.ok());
    return wire;
  }
  Status received(const Token& wire, Token& value) {
    return rig.run(*receive, 0, {&wire}, {&value});
  }

  Rig rig;
  std::unique_ptr<Task> send, receive;
};

class EveryCodec : public testing::TestWithParam<const char*> {};

TEST_P(EveryCodec, TakesTensorsAcross) {
  Ends ends(GetParam());
  Token value;
  value.round = {4, 5, 0, true, false};
  value.micro = 3;
  value.tensors = {wild_tensor(ends.rig.context, {2, 8, 8}, 0),
                   wild_tensor(ends.rig.context, {17}, 1)};
  const Token wire = ends.sent(value);
  EXPECT_TRUE(wire.tensors.empty());
  ASSERT_NE(wire.encoded, nullptr);
  Token back;
  ASSERT_TRUE(ends.received(wire, back).ok());
  EXPECT_EQ(back.round, value.round);
  EXPECT_EQ(back.micro, value.micro);
  ASSERT_EQ(back.tensors.size(), value.tensors.size());
  const codec::Codec codec = codec::parse(GetParam()).value();
  for (std::size_t i = 0; i < value.tensors.size(); ++i) {
    const ops::Tensor seen = value.tensors[i].clone(ends.rig.context.pool());
    codec::round_trip(codec, seen.values<float>());
    EXPECT_TRUE(same_bits(back.tensors[i], seen)) << i;
  }
}

/// fp8, int8 and int4 round bf16; none and bf16 keep every bit of it.
TEST_P(EveryCodec, TakesBF16AcrossAsTheCodecPromises) {
  Ends ends(GetParam(), ops::DType::kBF16);
  ops::Context& context = ends.rig.context;
  Token value;
  value.tensors = {ops::cast(context, wild_tensor(context, {2, 8, 8}, 0), ops::DType::kBF16),
                   ops::cast(context, wild_tensor(context, {17}, 1), ops::DType::kBF16)};
  Token back;
  ASSERT_TRUE(ends.received(ends.sent(value), back).ok());
  ASSERT_EQ(back.tensors.size(), value.tensors.size());
  const codec::Codec codec = codec::parse(GetParam()).value();
  for (std::size_t i = 0; i < value.tensors.size(); ++i) {
    const ops::Tensor seen = ops::cast(context, value.tensors[i], ops::DType::kF32);
    codec::round_trip(codec, seen.values<float>());
    EXPECT_TRUE(same_bits(back.tensors[i], ops::cast(context, seen, ops::DType::kBF16))) << i;
  }
}

TEST_P(EveryCodec, RefusesAnotherDtypeThanThePlanS) {
  Ends wide(GetParam()), narrow(GetParam(), ops::DType::kBF16);
  Token value;
  value.tensors = {wild_tensor(wide.rig.context, {4}, 0)};
  Token out;
  EXPECT_EQ(narrow.rig.run(*narrow.send, 0, {&value}, {&out}).error().code, Code::kTensor);
  EXPECT_EQ(narrow.received(wide.sent(value), out).error().code, Code::kTensor);
}

TEST_P(EveryCodec, NeverRoundsIntegers) {
  Ends ends(GetParam(), ops::DType::kI32);
  const std::vector<std::int32_t> numbers = {1, -1, 255, 1 << 30, 65537, 7};
  Token value;
  value.tensors = {
      ops::Tensor::from<std::int32_t>(ends.rig.context.pool(), {2, 3}, std::span(numbers))};
  Token back;
  ASSERT_TRUE(ends.received(ends.sent(value), back).ok());
  ASSERT_EQ(back.tensors.size(), 1u);
  EXPECT_TRUE(same_bits(back.tensors[0], value.tensors[0]));
}

TEST_P(EveryCodec, TakesScalarsAndEmptyTokensAsTheyAre) {
  Ends ends(GetParam());
  Token value;
  value.round = {1, 1, 1, false, true};
  value.empty = true;
  value.scalars = {0.1, -3e300};
  Token back;
  ASSERT_TRUE(ends.received(ends.sent(value), back).ok());
  EXPECT_TRUE(back.empty);
  EXPECT_EQ(back.round, value.round);
  EXPECT_EQ(back.scalars, value.scalars);
  EXPECT_TRUE(back.tensors.empty());
}

TEST_P(EveryCodec, RefusesEveryTruncation) {
  Ends ends(GetParam());
  Token value;
  value.tensors = {wild_tensor(ends.rig.context, {64}, 0)};
  const Token wire = ends.sent(value);
  for (std::size_t size = 0; size < wire.encoded->payload.size(); ++size) {
    auto cut = std::make_shared<Encoded>(*wire.encoded);
    cut->payload.resize(size);
    Token hostile;
    hostile.encoded = cut;
    Token back;
    EXPECT_FALSE(ends.received(hostile, back).ok()) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Wire, EveryCodec,
                         testing::Values("none", "bf16", "none+zstd", "bf16+zstd", "fp8",
                                         "fp8+zstd", "int8", "int8+zstd", "int4", "int4+zstd3"));

struct Hostile {
  const char* name;
  std::vector<std::vector<std::int64_t>> shapes;
  std::uint64_t raw_bytes;
  std::size_t payload;
};
void PrintTo(const Hostile& hostile, std::ostream* out) { *out << hostile.name; }

class Refused : public testing::TestWithParam<Hostile> {};

TEST_P(Refused, WithAnError) {
  for (const char* codec : {"none", "bf16", "none+zstd", "bf16+zstd", "int8", "int4+zstd"}) {
    SCOPED_TRACE(codec);
    Ends ends(codec);
    auto encoded = std::make_shared<Encoded>();
    encoded->codec = codec;
    encoded->shapes = GetParam().shapes;
    encoded->raw_bytes = GetParam().raw_bytes;
    encoded->payload = Bytes(GetParam().payload, std::byte{0xA5});
    Token hostile;
    hostile.encoded = encoded;
    Token value;
    const Status status = ends.received(hostile, value);
    ASSERT_FALSE(status.ok());
    EXPECT_TRUE(status.error().code == Code::kTensor || status.error().code == Code::kDecompress);
  }
}

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
INSTANTIATE_TEST_SUITE_P(
    Wire, Refused,
    testing::Values(
        Hostile{"product overflows", {{kHuge, kHuge, 4}}, 16, 16},
        Hostile{"product wraps to small", {{std::int64_t{1} << 32, std::int64_t{1} << 32}}, 0, 0},
        Hostile{"sum overflows",
                std::vector<std::vector<std::int64_t>>(1024, {std::int64_t{1} << 55}), 0, 0},
        Hostile{"negative extent", {{-4}}, 16, 16},
        Hostile{"two negative extents", {{-2, -2}}, 16, 16},
        Hostile{"too many axes", {{1, 1, 1, 1, 1, 1, 1, 1, 1}}, 4, 4},
        Hostile{"size is not that of the shapes", {{4}}, 20, 20},
        Hostile{"larger than the slot", {{1025}}, 4100, 4100},
        Hostile{"together larger than the slot", {{1024}, {1}}, 4100, 4100},
        Hostile{"payload of another size", {{4}}, 16, 15}, Hostile{"no payload", {{4}}, 16, 0},
        Hostile{"garbage longer than anything", {{4}}, 16, 100000}));

TEST(Receive, BelievesNoCodecButThePlanS) {
  Ends ends("bf16");
  Token value;
  value.tensors = {wild_tensor(ends.rig.context, {4}, 0)};
  auto other = std::make_shared<Encoded>(*ends.sent(value).encoded);
  EXPECT_EQ(other->codec, "bf16");
  for (const char* codec : {"", "none", "bf16+zstd", "top-k:0.1", "auto:0.1"}) {
    other->codec = codec;
    Token hostile, back;
    hostile.encoded = other;
    EXPECT_EQ(ends.received(hostile, back).error().code, Code::kProto) << codec;
  }
}

TEST(Receive, SurvivesRandomDamageToAPayload) {
  for (const char* codec : {"none+zstd", "bf16+zstd", "int8+zstd", "fp8", "int4"}) {
    Ends ends(codec);
    Token value;
    value.tensors = {ops::Tensor::zeros(ends.rig.context.pool(), ops::DType::kF32, {1024})};
    const Token wire = ends.sent(value);
    const Random random(11, codec);
    for (std::uint64_t round = 0; round < 2000; ++round) {
      auto damaged = std::make_shared<Encoded>(*wire.encoded);
      for (std::uint64_t i = 0; i < 3; ++i) {
        const auto at = random.below(damaged->payload.size(), round, 2 * i);
        damaged->payload[at] = static_cast<std::byte>(random.below(256, round, 2 * i + 1));
      }
      Token hostile;
      hostile.encoded = damaged;
      Token back;
      (void)ends.received(hostile, back).ok();  // a value or an Error, never a crash
    }
  }
}

TEST(Send, RefusesAnUnknownCodec) {
  Rig rig(tiny_job(1, 1), wire_plan("rot13", 2, kSlotBytes));
  EXPECT_FALSE(rig.make(rig.plan.actors[1]).ok());
  EXPECT_FALSE(rig.make(rig.plan.actors[2]).ok());
}

}  // namespace
}  // namespace reef::actors
