#include "ops/codec/feedback.h"

#include <algorithm>
#include <bit>

namespace reef::codec {
namespace {

constexpr std::uint32_t kMagic = 0x42444641;  // "AFDB"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeader = 4 + 4 + 8 + 8;

Error damaged(std::string what) { return {Code::kCheckpoint, "residual", std::move(what)}; }

std::byte* put(const std::vector<float>& values, std::byte* to) {
  for (const float value : values) {
    store(to, value);
    to += sizeof value;
  }
  return to;
}

Result<std::vector<float>> take(BytesView& from, std::size_t count) {
  std::vector<float> values(count);
  for (float& value : values) {
    value = load<float>(from.data());
    from = from.subspan(sizeof value);
    const auto magnitude = std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFu;
    if (magnitude >= 0x7F800000u) return damaged("holds a number that is not finite");
  }
  return values;
}

}  // namespace

Bytes save(const Feedback& feedback) {
  Bytes saved(kHeader + sizeof(float) * (feedback.residual.size() + feedback.warm.size()));
  store(saved.data(), kMagic);
  store(saved.data() + 4, kVersion);
  store(saved.data() + 8, std::uint64_t{feedback.residual.size()});
  store(saved.data() + 16, std::uint64_t{feedback.warm.size()});
  put(feedback.warm, put(feedback.residual, saved.data() + kHeader));
  return saved;
}

Result<Feedback> restore(BytesView saved, std::size_t residual, std::size_t warm) {
  if (saved.size() < kHeader) return damaged("ends inside its header");
  if (load<std::uint32_t>(saved.data()) != kMagic) return damaged("is not a residual");
  if (load<std::uint32_t>(saved.data() + 4) != kVersion) return damaged("is of another version");
  const auto has_residual = load<std::uint64_t>(saved.data() + 8);
  const auto has_warm = load<std::uint64_t>(saved.data() + 16);
  if (has_residual != residual || has_warm != warm) {
    return damaged("has " + std::to_string(has_residual) + " and " + std::to_string(has_warm) +
                   " numbers; expected " + std::to_string(residual) + " and " +
                   std::to_string(warm));
  }
  saved = saved.subspan(kHeader);
  if (saved.size() != sizeof(float) * (residual + warm)) {
    return damaged("has " + std::to_string(saved.size()) + " bytes of numbers; expected " +
                   std::to_string(sizeof(float) * (residual + warm)));
  }
  Feedback feedback;
  ATOLL_ASSIGN(feedback.residual, take(saved, residual));
  ATOLL_ASSIGN(feedback.warm, take(saved, warm));
  return feedback;
}

}  // namespace reef::codec
