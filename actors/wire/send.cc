#include "actors/wire/send.h"

#include <optional>

#include "actors/wire/codec_choice.h"
#include "actors/wire/tensor_codec.h"
#include "runtime/base/log.h"

namespace reef::actors {
namespace {

/// value -> wire
class Send final : public Task {
 public:
  Send(const TaskSetup& setup, const plan::Actor& actor, const plan::Edge& wire,
       codec::EdgeCodec codec)
      : wires_(setup.wire), actor_(actor), edge_(wire), codec_(codec), codec_name_(wire.codec) {
    if (const auto* automatic = std::get_if<codec::Automatic>(&codec_)) {
      choice_.emplace(*automatic, wire, setup.clock);
      use(choice_->codec());
    }
  }

  Status run(Firing& firing) override {
    const Token& value = *firing.inputs[0];
    Token& wire = *firing.outputs[0];
    wire.round = value.round;
    wire.micro = value.micro;
    wire.empty = value.empty;
    wire.scalars = value.scalars;
    wire.encoded = value.encoded;
    if (value.encoded != nullptr || value.tensors.empty()) return {};
    for (const ops::Tensor& tensor : value.tensors) {
      if (tensor.dtype() == edge_.dtype) continue;
      return Error{Code::kTensor, edge_.name,
                   "a tensor of " + std::string(ops::name_of(tensor.dtype())) + " on an edge of " +
                       std::string(ops::name_of(edge_.dtype))};
    }
    if (choice_) choose(firing.context, value.tensors);
    const auto* codec = std::get_if<codec::Codec>(&codec_);
    if (codec == nullptr)
      return Error{Code::kTensor, edge_.name, "tensors whose residual has no owner"};
    wire.encoded = encode(*codec, value.tensors);
    return {};
  }

 private:
  void choose(ops::Context& context, std::span<const ops::Tensor> tensors) {
    const link::LineNow line = wires_.line(edge_.id);
    if (!choice_->decide(choice_->candidates(context, line, tensors))) return;
    use(choice_->codec());
    log_info(actor_.name + ": travels as " + codec_name_ +
             " from here on; the line: " + link::format_line(line));
  }

  void use(codec::Codec codec) {
    codec_ = codec;
    codec_name_ = codec::name(codec);
  }

  /// All tensors as one run of elements: fewer, larger blocks compress better than many small ones.
  std::shared_ptr<const Encoded> encode(codec::Codec codec, std::span<const ops::Tensor> tensors) {
    auto encoded = std::make_shared<Encoded>();
    encoded->codec = codec_name_;
    encoded->dtype = edge_.dtype;
    for (const ops::Tensor& tensor : tensors) {
      const auto extents = tensor.shape().extents();
      encoded->shapes.emplace_back(extents.begin(), extents.end());
      encoded->raw_bytes += tensor.size_bytes();
    }
    BytesView raw = tensors[0].bytes();
    if (tensors.size() > 1) {
      joined_.resize(encoded->raw_bytes);
      std::size_t at = 0;
      for (const ops::Tensor& tensor : tensors) {
        std::memcpy(joined_.data() + at, tensor.bytes().data(), tensor.size_bytes());
        at += tensor.size_bytes();
      }
      raw = joined_;
    }
    actors::encode(codec, edge_.dtype, raw, encoded->payload);
    return encoded;
  }

  const node::Wire& wires_;
  const plan::Actor& actor_;
  const plan::Edge& edge_;
  std::optional<CodecChoice> choice_;  ///< where the edge's codec is "auto"
  codec::EdgeCodec codec_;             ///< in use now
  std::string codec_name_;
  Bytes joined_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_send(const TaskSetup& setup, const plan::Actor& actor) {
  const plan::Edge& wire = setup.plan.edges[actor.acts[0].outputs[0].edge];
  ATOLL_ASSIGN(const codec::EdgeCodec codec, codec::parse_edge(wire.codec));
  return std::unique_ptr<Task>(std::make_unique<Send>(setup, actor, wire, codec));
}

}  // namespace reef::actors
