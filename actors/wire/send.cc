#include "actors/wire/send.h"

#include "actors/wire/tensor_codec.h"

namespace reef::actors {
namespace {

/// value -> wire
class Send final : public Task {
 public:
  Send(const plan::Edge& wire, codec::EdgeCodec codec)
      : edge_(wire.name), name_(wire.codec), dtype_(wire.dtype), codec_(codec) {}

  Status run(Firing& firing) override {
    const Token& value = *firing.inputs[0];
    Token& wire = *firing.outputs[0];
    wire.round = value.round;
    wire.micro = value.micro;
    wire.empty = value.empty;
    wire.scalars = value.scalars;
    if (value.encoded != nullptr) {
      wire.encoded = value.encoded;
      return {};
    }
    if (value.tensors.empty()) return {};
    if (codec::has_feedback(codec_))
      return Error{Code::kTensor, edge_, "tensors whose residual has no owner"};
    auto encoded = std::make_shared<Encoded>();
    encoded->codec = name_;
    encoded->dtype = dtype_;
    for (const ops::Tensor& tensor : value.tensors) {
      if (tensor.dtype() != dtype_) {
        return Error{Code::kTensor, edge_,
                     "a tensor of " + std::string(ops::name_of(tensor.dtype())) +
                         " on an edge of " + std::string(ops::name_of(dtype_))};
      }
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
    actors::encode(*std::get_if<codec::Codec>(&codec_), dtype_, raw, encoded.payload);
  }

  std::string edge_, name_;
  ops::DType dtype_;
  codec::EdgeCodec codec_;
  Bytes joined_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_send(const TaskSetup& setup, const plan::Actor& actor) {
  const plan::Edge& wire = setup.plan.edges[actor.acts[0].outputs[0].edge];
  ATOLL_ASSIGN(const codec::EdgeCodec codec, codec::parse_edge(wire.codec));
  return std::unique_ptr<Task>(std::make_unique<Send>(wire, codec));
}

}  // namespace reef::actors
