#include "actors/wire/receive.h"

#include "actors/wire/tensor_codec.h"

namespace reef::actors {
namespace {

/// wire -> value
class Receive final : public Task {
 public:
  Receive(const plan::Edge& wire, EdgeDecoder decoder)
      : edge_(wire.name), dtype_(wire.dtype), capacity_(wire.bytes), decoder_(std::move(decoder)) {}

  Status run(Firing& firing) override {
    const Token& wire = *firing.inputs[0];
    Token& value = *firing.outputs[0];
    value.round = wire.round;
    value.micro = wire.micro;
    value.empty = wire.empty;
    value.scalars = wire.scalars;
    if (wire.encoded == nullptr) return {};
    ATOLL_ASSIGN(const auto shapes, checked_shapes(*wire.encoded));
    const auto total = static_cast<std::int64_t>(wire.encoded->raw_bytes / ops::size_of(dtype_));
    // One piece of memory for all tensors: what arrived joined stays joined.
    const auto joined = ops::Tensor::empty(firing.context.pool(), dtype_, {total});
    if (const Status decoded = decoder_.decode(*wire.encoded, shapes, joined.bytes());
        !decoded.ok()) {
      return Error{decoded.error().code, edge_, decoded.error().what};
    }
    std::int64_t at = 0;
    for (const ops::Shape& shape : shapes) {
      value.tensors.push_back(joined.slice(at, shape.elements()).reshape(shape));
      at += shape.elements();
    }
    return {};
  }

 private:
  /// Everything a peer says of dtype and sizes is checked before memory is taken.
  Result<std::vector<ops::Shape>> checked_shapes(const Encoded& encoded) const {
    if (encoded.dtype != dtype_) {
      return Error{Code::kTensor, edge_,
                   "tensors of " + std::string(ops::name_of(encoded.dtype)) + ", not of " +
                       std::string(ops::name_of(dtype_))};
    }
    std::vector<ops::Shape> shapes;
    std::uint64_t bytes = 0;
    for (const auto& extents : encoded.shapes) {
      ATOLL_ASSIGN(const ops::Shape shape, ops::Shape::make(extents));
      bytes += static_cast<std::uint64_t>(shape.elements()) * ops::size_of(dtype_);
      if (bytes > capacity_)
        return Error{Code::kTensor, edge_, "tensors larger than the edge's slots"};
      shapes.push_back(shape);
    }
    if (bytes != encoded.raw_bytes)
      return Error{Code::kTensor, edge_, "declared size differs from the shapes"};
    return shapes;
  }

  std::string edge_;
  ops::DType dtype_;
  std::uint64_t capacity_;
  EdgeDecoder decoder_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_receive(const TaskSetup& setup, const plan::Actor& actor) {
  const plan::Edge& wire = setup.plan.edges[actor.acts[0].inputs[0].edge];
  ATOLL_ASSIGN(EdgeDecoder decoder, EdgeDecoder::make(wire));
  return std::unique_ptr<Task>(std::make_unique<Receive>(wire, std::move(decoder)));
}

}  // namespace reef::actors
