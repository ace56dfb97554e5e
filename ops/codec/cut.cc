#include "ops/codec/cut.h"

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

namespace reef::codec {
namespace {

/// Up to so many are partitioned, which for more takes longer than counting digits.
constexpr std::size_t kFew = 256;

Cut cut_few(std::span<const float> values, std::size_t k) {
  std::array<std::uint32_t, kFew> keys{};
  const auto end = std::transform(values.begin(), values.end(), keys.begin(), magnitude);
  const auto last = keys.begin() + static_cast<std::ptrdiff_t>(std::min(k, values.size()) - 1);
  std::nth_element(keys.begin(), last, end, std::greater<>());
  const std::uint32_t least = *last;
  if (least == 0) return {1, values.size()};
  return {least, static_cast<std::size_t>(std::count(keys.begin(), last + 1, least))};
}

/// Finds the k-th largest magnitude digit by digit.
Cut cut_many(std::span<const float> values, std::size_t k) {
  std::uint32_t prefix = 0;
  std::size_t wanted = k;  // among those that share the prefix
  for (const auto& [shift, bits] : {std::pair{20, 11}, std::pair{9, 11}, std::pair{0, 9}}) {
    std::vector<std::size_t> counts(std::size_t{1} << bits);
    for (const float value : values) {
      const std::uint32_t key = magnitude(value);
      if (shift + bits < 31 && key >> (shift + bits) != prefix) continue;
      if (key != 0) ++counts[key >> shift & ((1u << bits) - 1)];
    }
    std::size_t digit = counts.size() - 1;
    while (digit > 0 && counts[digit] < wanted) wanted -= counts[digit--];
    prefix = prefix << bits | static_cast<std::uint32_t>(digit);
  }
  return {std::max<std::uint32_t>(prefix, 1), prefix == 0 ? values.size() : wanted};
}

}  // namespace

Cut cut_at(std::span<const float> values, std::size_t k) {
  if (values.empty()) return {1, 0};
  return values.size() <= kFew ? cut_few(values, k) : cut_many(values, k);
}

}  // namespace reef::codec
