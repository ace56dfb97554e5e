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

}  // namespace reef::actors
