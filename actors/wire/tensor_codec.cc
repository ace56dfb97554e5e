#include "actors/wire/tensor_codec.h"

namespace reef::actors {
namespace {

/// `bytes` as elements; tensors and joined tensors are aligned for any.
template <typename Element, typename Byte>
std::span<Element> as(std::span<Byte> bytes) {
  return {reinterpret_cast<Element*>(bytes.data()), bytes.size() / sizeof(Element)};
}

}  // namespace

void encode(codec::Codec codec, ops::DType dtype, BytesView raw, Bytes& out) {
  switch (dtype) {
    case ops::DType::kF32:
      return codec::encode(codec, as<const float>(raw), out);
    case ops::DType::kBF16:
      return codec::encode(codec, as<const std::uint16_t>(raw), out);
    default:
      return codec::encode_bytes(codec, raw, out);
  }
}

Status decode(codec::Codec codec, ops::DType dtype, BytesView encoded, std::span<std::byte> out) {
  switch (dtype) {
    case ops::DType::kF32:
      return codec::decode(codec, encoded, as<float>(out));
    case ops::DType::kBF16:
      return codec::decode(codec, encoded, as<std::uint16_t>(out));
    default:
      return codec::decode_bytes(codec, encoded, out);
  }
}

std::vector<codec::Matrix> parts_of(std::span<const ops::Shape> shapes) {
  std::vector<codec::Matrix> parts;
  for (const ops::Shape& shape : shapes) parts.push_back(codec::matrix_of(shape.extents()));
  return parts;
}

Result<EdgeDecoder> EdgeDecoder::make(const plan::Edge& wire) {
  ATOLL_ASSIGN(const codec::EdgeCodec codec, codec::parse_edge(wire.codec));
  return EdgeDecoder(wire, codec);
}

Status EdgeDecoder::decode(const Encoded& encoded, std::span<const ops::Shape> shapes,
                           std::span<std::byte> out) {
  if (!codec::has_feedback(codec_)) {
    ATOLL_ASSIGN(const codec::Codec codec, stateless(encoded.codec));
    return actors::decode(codec, dtype_, encoded.payload, out);
  }
  if (encoded.codec != name_ || dtype_ != ops::DType::kF32)
    return Error{Code::kProto, "codec", "not the edge's codec"};
  std::vector<codec::Matrix> parts = parts_of(shapes);
  if (!coder_ || parts != parts_) {
    parts_ = parts;
    coder_.emplace(codec_, std::move(parts));
  }
  return coder_->decode(encoded.payload, as<float>(out));
}

/// Where the choice is the sender's, each of its choices explains itself.
Result<codec::Codec> EdgeDecoder::stateless(const std::string& name) const {
  const bool chosen = std::holds_alternative<codec::Automatic>(codec_);
  const Error wrong{Code::kProto, "codec", "not the edge's codec"};
  if (!chosen && name != name_) return wrong;
  const auto codec = codec::parse(name);
  if (!codec.ok()) return wrong;
  return codec;
}

}  // namespace reef::actors
