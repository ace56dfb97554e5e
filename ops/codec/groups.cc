#include "ops/codec/groups.h"

#include <algorithm>
#include <array>

#include "ops/codec/isa/dispatch.h"

namespace reef::codec {
namespace {

constexpr std::size_t kLargestGroup = kInt8Group;
static_assert(std::max({kFP8Group, kInt4Group, kInt2Group}) <= kLargestGroup);

struct Grouping {
  std::size_t group;
  std::size_t bytes;   ///< of a whole group's codes
  std::size_t scales;  ///< of a group, in bytes
  EncodeGroups encode;
  DecodeGroups decode;
};

Grouping grouping_of(Lossy lossy) {
  const Kernels& best = kernels();
  switch (lossy) {
    case Lossy::kFP8:
      return {kFP8Group, kFP8Group, 2, best.encode_fp8, best.decode_fp8};
    case Lossy::kInt8:
      return {kInt8Group, kInt8Group, 2, best.encode_int8, best.decode_int8};
    case Lossy::kInt4:
      return {kInt4Group, kInt4GroupBytes, 2, best.encode_int4, best.decode_int4};
    case Lossy::kInt2:
      return {kInt2Group, kInt2GroupBytes, 4, best.encode_int2, best.decode_int2};
    case Lossy::kNone:
    case Lossy::kBF16:
      break;
  }
  CHECK(false) << "not a codec with scales";
  return {};
}

std::size_t groups_of(std::size_t elements, std::size_t group) {
  return elements / group + (elements % group != 0);
}

}  // namespace

bool is_grouped(Lossy lossy) { return lossy != Lossy::kNone && lossy != Lossy::kBF16; }

std::size_t group_of(Lossy lossy) { return grouping_of(lossy).group; }

std::size_t scale_bytes(Lossy lossy, std::size_t elements) {
  const Grouping grouping = grouping_of(lossy);
  return groups_of(elements, grouping.group) * grouping.scales;
}

std::size_t code_bytes(Lossy lossy, std::size_t elements) {
  const Grouping grouping = grouping_of(lossy);
  if (grouping.bytes == grouping.group) return elements;
  return groups_of(elements, grouping.group) * grouping.bytes;
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
  if (lossy == Lossy::kInt2) {  // zeros would move its levels
    for (std::size_t i = rest.size(); i < kInt2Group; ++i) last[i] = last[i - rest.size()];
  }
  grouping.encode(last.data(), 1, scales + whole * grouping.scales, last_codes.data());
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
      grouping.decode(scales + whole * grouping.scales, last_codes.data(), 1, last.data());
  std::copy_n(last.begin(), rest.size(), rest.begin());
  return good && good_last;
}

}  // namespace reef::codec
