#include "ops/codec/groups.h"

#include <algorithm>
#include <array>

#include "ops/codec/isa/dispatch.h"

namespace reef::codec {
namespace {

constexpr std::size_t kLargestGroup = kInt8Group;
static_assert(kFP8Group <= kLargestGroup && kInt4Group <= kLargestGroup);

struct Grouping {
  std::size_t group;
  std::size_t bytes;  ///< of a whole group's codes
  EncodeGroups encode;
  DecodeGroups decode;
};

Grouping grouping_of(Lossy lossy) {
  const Kernels& best = kernels();
  switch (lossy) {
    case Lossy::kFP8:
      return {kFP8Group, kFP8Group, best.encode_fp8, best.decode_fp8};
    case Lossy::kInt8:
      return {kInt8Group, kInt8Group, best.encode_int8, best.decode_int8};
    case Lossy::kInt4:
      return {kInt4Group, kInt4GroupBytes, best.encode_int4, best.decode_int4};
    case Lossy::kNone:
    case Lossy::kBF16:
      break;
  }
  CHECK(false) << "not a codec with scales";
  return {};
}

}  // namespace

bool is_grouped(Lossy lossy) {
  return lossy == Lossy::kFP8 || lossy == Lossy::kInt8 || lossy == Lossy::kInt4;
}

std::size_t group_of(Lossy lossy) { return grouping_of(lossy).group; }

std::size_t scale_bytes(Lossy lossy, std::size_t elements) {
  const std::size_t group = group_of(lossy);
  return (elements / group + (elements % group != 0)) * sizeof(std::uint16_t);
}

std::size_t code_bytes(Lossy lossy, std::size_t elements) {
  if (lossy != Lossy::kInt4) return elements;
  return (elements / kInt4Group + (elements % kInt4Group != 0)) * kInt4GroupBytes;
}

void encode_groups(Lossy lossy, std::span<const float> values, std::byte* scales,
                   std::byte* codes) {
  const Grouping grouping = grouping_of(lossy);
  const std::size_t whole = values.size() / grouping.group;
  grouping.encode(values.data(), whole, scales, codes);
  const auto rest = values.subspan(whole * grouping.group);
  if (rest.empty()) return;
  std::array<float, kLargestGroup> last{};
  std::array<std::byte, kLargestGroup> last_codes;
  std::copy(rest.begin(), rest.end(), last.begin());
  grouping.encode(last.data(), 1, scales + whole * sizeof(std::uint16_t), last_codes.data());
  std::copy_n(last_codes.begin(), code_bytes(lossy, rest.size()), codes + whole * grouping.bytes);
}

bool decode_groups(Lossy lossy, const std::byte* scales, const std::byte* codes,
                   std::span<float> out) {
  const Grouping grouping = grouping_of(lossy);
  const std::size_t whole = out.size() / grouping.group;
  const bool good = grouping.decode(scales, codes, whole, out.data());
  const auto rest = out.subspan(whole * grouping.group);
  if (rest.empty()) return good;
  std::array<std::byte, kLargestGroup> last_codes{};
  std::array<float, kLargestGroup> last;
  std::copy_n(codes + whole * grouping.bytes, code_bytes(lossy, rest.size()), last_codes.begin());
  const bool good_last =
      grouping.decode(scales + whole * sizeof(std::uint16_t), last_codes.data(), 1, last.data());
  std::copy_n(last.begin(), rest.size(), rest.begin());
  return good && good_last;
}

}  // namespace reef::codec
