#include "actors/sync/rounding.h"

#include <algorithm>

#include "actors/wire/tensor_codec.h"

namespace reef::actors {

using ops::Tensor;

Result<std::unique_ptr<Rounding>> Rounding::make(const std::string& codec,
                                                 std::span<const ops::Shape> shapes) {
  ATOLL_ASSIGN(const codec::EdgeCodec known, codec::parse_edge(codec));
  return std::unique_ptr<Rounding>(new Rounding(codec, known, shapes));
}

Rounding::Rounding(std::string name, codec::EdgeCodec codec, std::span<const ops::Shape> shapes)
    : name_(std::move(name)), codec_(codec), shapes_(shapes.begin(), shapes.end()) {
  for (const ops::Shape& shape : shapes) elements_ += shape.elements();
  if (const auto* automatic = std::get_if<codec::Automatic>(&codec_))
    use(codec::first_choice(*automatic));
  if (!codec::has_feedback(codec_)) return;
  coder_.emplace(codec_, parts_of(shapes));
  feedback_ = coder_->begin();
}

Result<std::shared_ptr<const Encoded>> Rounding::round(ops::Context& context,
                                                       std::vector<Tensor>& tensors, bool travel) {
  const auto same_shape = [](const Tensor& tensor, const ops::Shape& shape) {
    return tensor.shape() == shape && tensor.dtype() == ops::DType::kF32;
  };
  if (!std::ranges::equal(tensors, shapes_, same_shape))
    return Error{Code::kTensor, "gradients", "not the gradients of this stage"};
  const Tensor joined = Tensor::empty(context.staging(), ops::DType::kF32, {elements_});
  auto encoded = std::make_shared<Encoded>();
  std::int64_t at = 0;
  for (Tensor& tensor : tensors) {
    const Tensor part = joined.slice(at, tensor.elements());
    context.start_copy_to_host(part.raw(), tensor.raw(), tensor.size_bytes());
    at += tensor.elements();
    tensor = part.reshape(tensor.shape());
    const auto extents = tensor.shape().extents();
    encoded->shapes.emplace_back(extents.begin(), extents.end());
  }
  context.synchronize();
  encoded->codec = name_;
  encoded->raw_bytes = joined.size_bytes();
  ATOLL_TRY(pass(joined.values<float>(), travel, encoded->payload));
  for (Tensor& tensor : tensors) tensor = on_device(context, tensor);
  if (!travel) return std::shared_ptr<const Encoded>();
  return std::shared_ptr<const Encoded>(std::move(encoded));
}

void Rounding::use(codec::Codec codec) {
  codec_ = codec;
  name_ = codec::name(codec);
}

/// Through the codec and back.
Status Rounding::pass(std::span<float> values, bool travel, Bytes& payload) {
  if (coder_) {
    coder_->encode(values, *feedback_, payload);
    return coder_->decode(payload, values);
  }
  const auto codec = std::get<codec::Codec>(codec_);
  codec::round_trip(codec, values);
  if (travel) codec::encode(codec, std::span<const float>(values), payload);
  return {};
}

}  // namespace reef::actors
