#include "ops/codec/codec.h"

#include <algorithm>
#include <array>
#include <bit>

#include "ops/codec/bf16.h"
#include "ops/codec/groups.h"
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
std::byte* encode_block(int level, std::span<const Element> values, std::byte* to) {
  std::byte* const plane = plane_scratch();
  for (std::size_t p = 0; p < sizeof(Word); ++p) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Word word = std::rotl(to_plain<Word>(values[i]), 1);
      plane[i] = static_cast<std::byte>(word >> plane_shift<Word>(p));
    }
    to = write_plane(Content::kFloats, level, {plane, values.size()}, to);
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
void encode_as(Codec codec, std::span<const Element> values, Bytes& out) {
  if (!codec.zstd) return encode_plain<Word>(values, out.data());
  std::byte* end = out.data();
  while (!values.empty()) end = encode_block<Word>(codec.level, take_block(values), end);
  out.resize(static_cast<std::size_t>(end - out.data()));
}

Error wrong_size(std::size_t have, std::size_t want) {
  return {Code::kDecompress, "codec",
          "the encoding has " + std::to_string(have) + " bytes; expected " + std::to_string(want)};
}

/// A frame of zstd may be as long as one likes, whatever is in it.
Status check_length(std::size_t have, std::size_t most) {
  if (have <= most) return {};
  return Error{Code::kDecompress, "codec",
               "the encoding has " + std::to_string(have) +
                   " bytes; of so many values there are at most " + std::to_string(most)};
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

// ---- block-scaled

/// bf16 values are widened so many at a time: whole groups, and few enough to stay in the
/// first-level cache.
constexpr std::size_t kChunk = 2048;

void encode_groups_of(Lossy lossy, std::span<const float> values, std::byte* scales,
                      std::byte* codes) {
  encode_groups(lossy, values, scales, codes);
}

void encode_groups_of(Lossy lossy, std::span<const std::uint16_t> values, std::byte* scales,
                      std::byte* codes) {
  std::array<float, kChunk> wide;
  for (std::size_t at = 0; at < values.size(); at += kChunk) {
    const auto chunk = values.subspan(at, std::min(kChunk, values.size() - at));
    std::transform(chunk.begin(), chunk.end(), wide.begin(), from_bf16);
    encode_groups(lossy, std::span(wide).first(chunk.size()), scales + scale_bytes(lossy, at),
                  codes + code_bytes(lossy, at));
  }
}

bool decode_groups_of(Lossy lossy, const std::byte* scales, const std::byte* codes,
                      std::span<float> out) {
  return decode_groups(lossy, scales, codes, out);
}

bool decode_groups_of(Lossy lossy, const std::byte* scales, const std::byte* codes,
                      std::span<std::uint16_t> out) {
  std::array<float, kChunk> wide;
  bool good = true;
  for (std::size_t at = 0; at < out.size(); at += kChunk) {
    const auto chunk = out.subspan(at, std::min(kChunk, out.size() - at));
    good &= decode_groups(lossy, scales + scale_bytes(lossy, at), codes + code_bytes(lossy, at),
                          std::span(wide).first(chunk.size()));
    std::transform(wide.begin(), wide.begin() + std::ptrdiff_t(chunk.size()), chunk.begin(),
                   to_bf16);
  }
  return good;
}

/// Where the planes of a block lie in plane_scratch().
struct GroupPlanes {
  std::byte* codes = plane_scratch();
  std::byte* scales = codes + kBlockElements;
  std::byte* high = scales + kBlockElements;
  std::byte* low = high + kBlockElements;
};
constexpr std::size_t kGroupPlanes = 3;
static_assert(kGroupPlanes < kMaxPlanes);

template <typename Element>
std::byte* encode_group_block(Codec codec, std::span<const Element> values, std::byte* to) {
  const GroupPlanes planes;
  encode_groups_of(codec.lossy, values, planes.scales, planes.codes);
  const std::size_t scales = scale_bytes(codec.lossy, values.size()) / sizeof(std::uint16_t);
  for (std::size_t i = 0; i < scales; ++i) {
    const auto scale = std::rotl(load<std::uint16_t>(planes.scales + 2 * i), 1);
    planes.high[i] = static_cast<std::byte>(scale >> 8);
    planes.low[i] = static_cast<std::byte>(scale);
  }
  to = write_plane(Content::kFloats, codec.level, {planes.high, scales}, to);
  to = write_plane(Content::kFloats, codec.level, {planes.low, scales}, to);
  return write_plane(Content::kFloats, codec.level,
                     {planes.codes, code_bytes(codec.lossy, values.size())}, to);
}

Error impossible() {
  return {Code::kDecompress, "codec", "a scale or a code that no encoder writes"};
}

template <typename Element>
Status decode_group_block(Codec codec, BytesView& encoded, std::span<Element> out) {
  const GroupPlanes planes;
  const std::size_t scales = scale_bytes(codec.lossy, out.size()) / sizeof(std::uint16_t);
  ATOLL_ASSIGN(const std::byte* high, read_plane(encoded, scales, planes.high));
  ATOLL_ASSIGN(const std::byte* low, read_plane(encoded, scales, planes.low));
  ATOLL_ASSIGN(const std::byte* codes,
               read_plane(encoded, code_bytes(codec.lossy, out.size()), planes.codes));
  for (std::size_t i = 0; i < scales; ++i) {
    const auto scale =
        static_cast<std::uint16_t>(std::uint16_t(high[i]) << 8 | std::uint16_t(low[i]));
    store(planes.scales + 2 * i, std::rotr(scale, 1));
  }
  if (!decode_groups_of(codec.lossy, planes.scales, codes, out)) return impossible();
  return {};
}

template <typename Element>
void encode_grouped(Codec codec, std::span<const Element> values, Bytes& out) {
  std::byte* end = out.data();
  while (!values.empty()) {
    const auto block = take_block(values);
    if (codec.zstd) {
      end = encode_group_block(codec, block, end);
      continue;
    }
    std::byte* const codes = end + scale_bytes(codec.lossy, block.size());
    encode_groups_of(codec.lossy, block, end, codes);
    end = codes + code_bytes(codec.lossy, block.size());
  }
  out.resize(static_cast<std::size_t>(end - out.data()));
}

template <typename Element>
Status decode_grouped(Codec codec, BytesView encoded, std::span<Element> out) {
  const std::size_t plain =
      scale_bytes(codec.lossy, out.size()) + code_bytes(codec.lossy, out.size());
  if (!codec.zstd && encoded.size() != plain) return wrong_size(encoded.size(), plain);
  while (!out.empty()) {
    const auto block = take_block(out);
    if (codec.zstd) {
      ATOLL_TRY(decode_group_block(codec, encoded, block));
      continue;
    }
    const std::size_t scales = scale_bytes(codec.lossy, block.size());
    const std::size_t all = scales + code_bytes(codec.lossy, block.size());
    if (!decode_groups_of(codec.lossy, encoded.data(), encoded.data() + scales, block)) {
      return impossible();
    }
    encoded = encoded.subspan(all);
  }
  if (!encoded.empty()) return trailing(encoded.size());
  return {};
}

/// So many bytes, in so many planes a block of `elements`.
std::size_t planes_bound(std::size_t bytes, std::size_t elements, std::size_t planes, bool zstd) {
  if (!zstd) return bytes;
  const std::size_t blocks = (elements + kBlockElements - 1) / kBlockElements;
  return bytes + blocks * planes * kPlaneHeader;
}

std::size_t words_bound(std::size_t elements, std::size_t word, bool zstd) {
  return planes_bound(elements * word, elements, word, zstd);
}

std::size_t groups_bound(Codec codec, std::size_t elements) {
  return planes_bound(scale_bytes(codec.lossy, elements) + code_bytes(codec.lossy, elements),
                      elements, kGroupPlanes, codec.zstd);
}

constexpr std::array<std::pair<std::string_view, Lossy>, 6> kNames{{
    {"none", Lossy::kNone},
    {"bf16", Lossy::kBF16},
    {"fp8", Lossy::kFP8},
    {"int8", Lossy::kInt8},
    {"int4", Lossy::kInt4},
    {"int2", Lossy::kInt2},
}};
constexpr std::string_view kZstd = "+zstd";

Error not_a_codec(std::string_view text) {
  return {
      Code::kJobValue, "codec",
      std::string(text.substr(0, 64)) +
          " is not a codec; use none, bf16, fp8, int8, int4 or int2, alone or with +zstd behind "
          "it"};
}

}  // namespace

Result<Codec> parse(std::string_view text) {
  const std::size_t plus = std::min(text.find('+'), text.size());
  const auto known = std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) {
    return entry.first == text.substr(0, plus);
  });
  if (known == kNames.end()) return not_a_codec(text);
  std::string_view rest = text.substr(plus);
  if (rest.empty()) return Codec{known->second, false};
  if (!rest.starts_with(kZstd)) return not_a_codec(text);
  rest.remove_prefix(kZstd.size());
  if (rest.empty()) return Codec{known->second, true};
  if (rest.size() > 1 || rest[0] < '1' || rest[0] > '0' + kMostLevel) return not_a_codec(text);
  return Codec{known->second, true, static_cast<std::uint8_t>(rest[0] - '0')};
}

std::string name(Codec codec) {
  for (const auto& [known, lossy] : kNames) {
    if (codec.lossy != lossy) continue;
    std::string text(known);
    if (codec.zstd) text += kZstd;
    if (codec.zstd && codec.level > 0) text += std::to_string(codec.level);
    return text;
  }
  CHECK(false) << "a codec without a name";
  return {};
}

std::size_t max_encoded_size(Codec codec, std::size_t elements) {
  if (is_grouped(codec.lossy)) return groups_bound(codec, elements);
  return words_bound(elements, codec.lossy == Lossy::kBF16 ? 2 : 4, codec.zstd);
}

std::size_t max_encoded_bytes_size(Codec codec, std::size_t bytes) {
  return words_bound(bytes, 1, codec.zstd);
}

void encode(Codec codec, std::span<const float> values, Bytes& out) {
  out.resize(max_encoded_size(codec, values.size()));
  if (is_grouped(codec.lossy)) return encode_grouped(codec, values, out);
  if (codec.lossy == Lossy::kBF16) return encode_as<std::uint16_t>(codec, values, out);
  encode_as<std::uint32_t>(codec, values, out);
}

void encode(Codec codec, std::span<const std::uint16_t> values, Bytes& out) {
  if (is_grouped(codec.lossy)) {
    out.resize(groups_bound(codec, values.size()));
    return encode_grouped(codec, values, out);
  }
  out.resize(words_bound(values.size(), sizeof(std::uint16_t), codec.zstd));
  encode_as<std::uint16_t>(codec, values, out);
}

Status decode(Codec codec, BytesView encoded, std::span<float> out) {
  ATOLL_TRY(check_length(encoded.size(), max_encoded_size(codec, out.size())));
  if (is_grouped(codec.lossy)) return decode_grouped(codec, encoded, out);
  if (codec.lossy == Lossy::kBF16) return decode_as<std::uint16_t>(codec.zstd, encoded, out);
  return decode_as<std::uint32_t>(codec.zstd, encoded, out);
}

Status decode(Codec codec, BytesView encoded, std::span<std::uint16_t> out) {
  ATOLL_TRY(check_length(encoded.size(), max_encoded_size(codec, out.size())));
  if (is_grouped(codec.lossy)) return decode_grouped(codec, encoded, out);
  return decode_as<std::uint16_t>(codec.zstd, encoded, out);
}

void encode_bytes(Codec codec, BytesView raw, Bytes& out) {
  out.resize(max_encoded_bytes_size(codec, raw.size()));
  std::byte* end = out.data();
  if (!codec.zstd) {
    std::copy(raw.begin(), raw.end(), end);
    return;
  }
  while (!raw.empty()) end = write_plane(Content::kAny, codec.level, take_block(raw), end);
  out.resize(static_cast<std::size_t>(end - out.data()));
}

Status decode_bytes(Codec codec, BytesView encoded, std::span<std::byte> out) {
  ATOLL_TRY(check_length(encoded.size(), max_encoded_bytes_size(codec, out.size())));
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
  if (codec.lossy == Lossy::kBF16) {
    for (float& value : values) value = from_bf16(to_bf16(value));
    return;
  }
  std::array<std::byte, kChunk> scales, codes;
  for (std::size_t at = 0; at < values.size(); at += kChunk) {
    const auto chunk = values.subspan(at, std::min(kChunk, values.size() - at));
    encode_groups(codec.lossy, chunk, scales.data(), codes.data());
    const bool good = decode_groups(codec.lossy, scales.data(), codes.data(), chunk);
    CHECK(good) << "an encoder wrote what its decoder refuses";
  }
}

}  // namespace reef::codec
