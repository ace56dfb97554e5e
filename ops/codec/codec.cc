#include "ops/codec/codec.h"

#include <algorithm>
#include <array>
#include <bit>

#include "ops/codec/bf16.h"
#include "ops/codec/planes.h"

namespace reef::codec {
namespace {

// A Word is what an element becomes before it is cut into planes; uint16_t stands for bf16, as a
// word and as an element.
template <typename Word>
Word to_plain(float value) {
  return std::bit_cast<Word>(value);
}
template <>
std::uint16_t to_plain<std::uint16_t>(float value) {
  return to_bf16(value);
}
template <typename Word>
Word to_plain(std::uint16_t value) {
  return value;
}

template <typename Element, typename Word>
Element from_plain(Word word) {
  if constexpr (sizeof(Word) == sizeof(Element))
    return std::bit_cast<Element>(word);
  else
    return from_bf16(word);
}

// ---- without zstd

template <typename Word, typename Element>
void encode_plain(std::span<const Element> values, std::byte* to) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    store(to + i * sizeof(Word), to_plain<Word>(values[i]));
  }
}

template <typename Word, typename Element>
void decode_plain(BytesView encoded, std::span<Element> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = from_plain<Element>(load<Word>(encoded.data() + i * sizeof(Word)));
  }
}

// ---- with zstd: plane p holds bits [8 * (planes - 1 - p), +8) of the rotated words

template <typename Word>
constexpr unsigned plane_shift(std::size_t plane) {
  return static_cast<unsigned>(8 * (sizeof(Word) - 1 - plane));
}

template <typename Word, typename Element>
std::byte* encode_block(std::span<const Element> values, std::byte* to) {
  std::byte* const plane = plane_scratch();
  for (std::size_t p = 0; p < sizeof(Word); ++p) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Word word = std::rotl(to_plain<Word>(values[i]), 1);
      plane[i] = static_cast<std::byte>(word >> plane_shift<Word>(p));
    }
    to = write_plane(Content::kFloats, {plane, values.size()}, to);
  }
  return to;
}

template <typename Word, typename Element>
Status decode_block(BytesView& encoded, std::span<Element> out) {
  std::array<const std::byte*, sizeof(Word)> planes{};
  for (std::size_t p = 0; p < sizeof(Word); ++p) {
    ATOLL_ASSIGN(planes[p], read_plane(encoded, out.size(), plane_scratch() + p * kBlockElements));
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    Word word = 0;
    for (std::size_t p = 0; p < sizeof(Word); ++p) {
      word = static_cast<Word>(word | static_cast<Word>(planes[p][i]) << plane_shift<Word>(p));
    }
    out[i] = from_plain<Element>(std::rotr(word, 1));
  }
  return {};
}

template <typename T>
std::span<T> take_block(std::span<T>& rest) {
  const auto block = rest.first(std::min(rest.size(), kBlockElements));
  rest = rest.subspan(block.size());
  return block;
}

template <typename Word, typename Element>
void encode_as(bool zstd, std::span<const Element> values, Bytes& out) {
  if (!zstd) return encode_plain<Word>(values, out.data());
  std::byte* end = out.data();
  while (!values.empty()) end = encode_block<Word>(take_block(values), end);
  out.resize(static_cast<std::size_t>(end - out.data()));
}

Error wrong_size(std::size_t have, std::size_t want) {
  return {Code::kDecompress, "codec",
          "the encoding has " + std::to_string(have) + " bytes; expected " + std::to_string(want)};
}

Error trailing(std::size_t bytes) {
  return {Code::kDecompress, "codec", std::to_string(bytes) + " bytes follow the last plane"};
}

template <typename Word, typename Element>
Status decode_as(bool zstd, BytesView encoded, std::span<Element> out) {
  if (!zstd) {
    if (encoded.size() != out.size() * sizeof(Word)) {
      return wrong_size(encoded.size(), out.size() * sizeof(Word));
    }
    decode_plain<Word>(encoded, out);
    return {};
  }
  while (!out.empty()) ATOLL_TRY(decode_block<Word>(encoded, take_block(out)));
  if (!encoded.empty()) return trailing(encoded.size());
  return {};
}

std::size_t planes_bound(std::size_t elements, std::size_t planes, bool zstd) {
  if (!zstd) return elements * planes;
  const std::size_t blocks = (elements + kBlockElements - 1) / kBlockElements;
  return elements * planes + blocks * planes * kPlaneHeader;
}

constexpr std::array<std::pair<std::string_view, Codec>, 4> kNames{{
    {"none", {Lossy::kNone, false}},
    {"bf16", {Lossy::kBF16, false}},
    {"none+zstd", {Lossy::kNone, true}},
    {"bf16+zstd", {Lossy::kBF16, true}},
}};

}  // namespace

Result<Codec> parse(std::string_view text) {
  for (const auto& [known, codec] : kNames) {
    if (text == known) return codec;
  }
  std::string what(text.substr(0, 64));
  what += " is not a codec; use none, bf16, none+zstd or bf16+zstd";
  return Error{Code::kJobValue, "codec", std::move(what)};
}

std::string name(Codec codec) {
  for (const auto& [known, value] : kNames) {
    if (codec == value) return std::string(known);
  }
  CHECK(false) << "a codec without a name";
  return {};
}

std::size_t max_encoded_size(Codec codec, std::size_t elements) {
  return planes_bound(elements, codec.lossy == Lossy::kBF16 ? 2 : 4, codec.zstd);
}

std::size_t max_encoded_bytes_size(Codec codec, std::size_t bytes) {
  return planes_bound(bytes, 1, codec.zstd);
}

void encode(Codec codec, std::span<const float> values, Bytes& out) {
  out.resize(max_encoded_size(codec, values.size()));
  if (codec.lossy == Lossy::kBF16) return encode_as<std::uint16_t>(codec.zstd, values, out);
  encode_as<std::uint32_t>(codec.zstd, values, out);
}

void encode(Codec codec, std::span<const std::uint16_t> values, Bytes& out) {
  out.resize(planes_bound(values.size(), sizeof(std::uint16_t), codec.zstd));
  encode_as<std::uint16_t>(codec.zstd, values, out);
}

Status decode(Codec codec, BytesView encoded, std::span<float> out) {
  if (codec.lossy == Lossy::kBF16) return decode_as<std::uint16_t>(codec.zstd, encoded, out);
  return decode_as<std::uint32_t>(codec.zstd, encoded, out);
}

Status decode(Codec codec, BytesView encoded, std::span<std::uint16_t> out) {
  return decode_as<std::uint16_t>(codec.zstd, encoded, out);
}

void encode_bytes(Codec codec, BytesView raw, Bytes& out) {
  out.resize(max_encoded_bytes_size(codec, raw.size()));
  std::byte* end = out.data();
  if (!codec.zstd) {
    std::copy(raw.begin(), raw.end(), end);
    return;
  }
  while (!raw.empty()) end = write_plane(Content::kAny, take_block(raw), end);
  out.resize(static_cast<std::size_t>(end - out.data()));
}

Status decode_bytes(Codec codec, BytesView encoded, std::span<std::byte> out) {
  if (!codec.zstd) {
    if (encoded.size() != out.size()) return wrong_size(encoded.size(), out.size());
    std::copy(encoded.begin(), encoded.end(), out.begin());
    return {};
  }
  while (!out.empty()) {
    const std::span<std::byte> block = take_block(out);
    ATOLL_ASSIGN(const std::byte* plane, read_plane(encoded, block.size(), block.data()));
    if (plane != block.data()) std::memcpy(block.data(), plane, block.size());
  }
  if (!encoded.empty()) return trailing(encoded.size());
  return {};
}

void round_trip(Codec codec, std::span<float> values) {
  if (codec.lossy == Lossy::kNone) return;
  for (float& value : values) value = from_bf16(to_bf16(value));
}

}  // namespace reef::codec
