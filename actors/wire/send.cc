#include "actors/wire/send.h"

#include "ops/codec/codec.h"

namespace reef::actors {
namespace {

/// value -> wire
class Send final : public Task {
 public:
  explicit Send(codec::Codec codec) : codec_(codec) {}

  Status run(Firing& firing) override {
    const Token& value = *firing.inputs[0];
    Token& wire = *firing.outputs[0];
    wire.round = value.round;
    wire.micro = value.micro;
    wire.empty = value.empty;
    wire.scalars = value.scalars;
    if (value.tensors.empty()) return {};
    auto encoded = std::make_shared<Encoded>();
    encoded->dtype = value.tensors[0].dtype();
    for (const ops::Tensor& tensor : value.tensors) {
      CHECK(tensor.dtype() == encoded->dtype) << "a token holds one dtype";
      const auto extents = tensor.shape().extents();
      encoded->shapes.emplace_back(extents.begin(), extents.end());
      encoded->raw_bytes += tensor.size_bytes();
    }
    encode(value, *encoded);
    wire.encoded = std::move(encoded);
    return {};
  }

 private:
  /// All tensors as one run of elements: fewer, larger blocks compress better than many small ones.
  void encode(const Token& value, Encoded& encoded) {
    BytesView raw = value.tensors[0].bytes();
    if (value.tensors.size() > 1) {
      joined_.resize(encoded.raw_bytes);
      std::size_t at = 0;
      for (const ops::Tensor& tensor : value.tensors) {
        std::memcpy(joined_.data() + at, tensor.bytes().data(), tensor.size_bytes());
        at += tensor.size_bytes();
      }
      raw = joined_;
    }
    if (encoded.dtype == ops::DType::kF32) {
      codec::encode(codec_,
                    {reinterpret_cast<const float*>(raw.data()), raw.size() / sizeof(float)},
                    encoded.payload);
    } else {
      codec::encode_bytes(codec_, raw, encoded.payload);
    }
  }

  codec::Codec codec_;
  Bytes joined_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_send(const TaskSetup& setup, const plan::Actor& actor) {
  const plan::Edge& wire = setup.plan.edges[actor.acts[0].outputs[0].edge];
  ATOLL_ASSIGN(const codec::Codec codec, codec::parse(wire.codec));
  return std::unique_ptr<Task>(std::make_unique<Send>(codec));
}

}  // namespace reef::actors
