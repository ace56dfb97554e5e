// What a receive actor makes of a token of a peer: dtype, shapes and sizes of any kind.

#include "actors/wire/receive.h"

#include <array>
#include <string>

#include "ops/codec/edge.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lone_context.h"

using namespace reef;

namespace {

constexpr std::uint64_t kSlotBytes = 4096;

class Nobody final : public node::Events {
 public:
  void progress(const node::Progress&) override {}
  void checkpoint_written(std::uint64_t, const std::string&) override {}
  void failed(const std::string&, const Error&) override {}
  void held(const std::string&, std::uint64_t) override {}
};

class NoWire final : public node::Wire {
 public:
  void send_token(std::uint32_t, std::uint64_t, const Token&) override {}
  void send_credit(std::uint32_t) override {}
  link::LineNow line(std::uint32_t) const override { return {}; }
  bool send_letter(std::uint32_t, node::Letter) override { return false; }
};

/// A receive actor behind a wire edge of this codec and dtype.
std::unique_ptr<actors::Task> receiver(plan::Plan& plan, const char* codec, ops::DType dtype) {
  plan.edges.resize(1);
  plan.edges[0].name = "edge";
  plan.edges[0].codec = codec;
  plan.edges[0].dtype = dtype;
  plan.edges[0].bytes = kSlotBytes;
  plan.actors.resize(1);
  plan.actors[0].acts.resize(1);
  plan.actors[0].acts[0].inputs.resize(1);
  static const job::Job job;
  static const nn::ModelSpec model;
  static Nobody nobody;
  static NoWire no_wire;
  return actors::make_receive({plan, job, model, nobody, no_wire, system_clock(), ""},
                              plan.actors[0])
      .value();
}

/// Small extents, sometimes one of the ends of what a number can be.
std::int64_t extent(fuzz::Input& input) {
  const auto small = input.number<std::int8_t>();
  return small > -16 ? small : input.number<std::int64_t>();
}

Token sent(fuzz::Input& input, const char* codec) {
  auto encoded = std::make_shared<Encoded>();
  encoded->codec = codec;
  encoded->dtype = static_cast<ops::DType>(
      input.below(std::size_t{1} + static_cast<std::size_t>(ops::DType::kU8)));
  encoded->shapes.resize(input.below(8));
  for (auto& shape : encoded->shapes) {
    shape.resize(input.below(10));
    for (std::int64_t& one : shape) one = extent(input);
  }
  encoded->raw_bytes = static_cast<std::uint64_t>(extent(input));
  if (encoded->raw_bytes == 0) encoded->raw_bytes = input.number<std::uint16_t>();
  encoded->payload = to_bytes(input.rest());
  Token token;
  token.encoded = std::move(encoded);
  return token;
}

void check(const Token& value, const Encoded& encoded) {
  CHECK_EQ(value.tensors.size(), encoded.shapes.size());
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < value.tensors.size(); ++i) {
    const ops::Tensor& tensor = value.tensors[i];
    CHECK(tensor.dtype() == encoded.dtype);
    CHECK(tensor.shape() == ops::Shape(encoded.shapes[i]));
    bytes += tensor.bytes().size();
    for (const std::byte& one : tensor.bytes()) {
      const volatile std::byte read = one;  // all of it is there
      (void)read;
    }
  }
  CHECK_EQ(bytes, encoded.raw_bytes);
  CHECK_LE(bytes, kSlotBytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static LoneContext alone;
  constexpr std::array kCodecs{"none",      "bf16",      "none+zstd", "bf16+zstd",
                               "fp8",       "int8",      "int4",      "fp8+zstd",
                               "int8+zstd", "int4+zstd", "top-k:0.1", "power-sgd:2:bf16",
                               "auto:0.05"};
  constexpr std::array kDtypes{ops::DType::kF32, ops::DType::kBF16, ops::DType::kI32,
                               ops::DType::kF64};
  fuzz::Input input(data, size);
  plan::Plan plan;
  const std::string own = kCodecs[input.below(kCodecs.size())];
  const ops::DType dtype = kDtypes[input.below(kDtypes.size())];
  const auto task = receiver(plan, own.c_str(), dtype);
  // 0: the edge's; or what the peer likes.
  const std::size_t choice = input.below(kCodecs.size() + 1);
  const std::string said = choice == 0 ? own : kCodecs[choice - 1];
  const Token wire = sent(input, said.c_str());
  const Token* const in = &wire;
  Token value;
  Token* const out = &value;
  actors::Firing firing{0, 0, {&in, 1}, {&out, 1}, alone};
  const Status status = task->run(firing);
  if (status.ok()) return check(value, *wire.encoded), 0;
  // Only fp32 has feedback, which the plan sees to.
  const bool fits =
      said == own && own != "auto:0.05" &&
      (dtype == ops::DType::kF32 || !reef::codec::has_feedback(*reef::codec::parse_edge(own)));
  if (fits)
    fuzz::check_refusal(status.error(), {Code::kTensor, Code::kDecompress});
  else
    fuzz::check_refusal(status.error(), {Code::kTensor, Code::kDecompress, Code::kProto});
  return 0;
}
