#include "actors/data/format/pairs.h"

#include "runtime/base/check.h"

namespace reef::data {

void leave_out_sources(const PairForm& form, std::span<const std::int32_t> tokens,
                       std::span<std::int32_t> targets) {
  CHECK_EQ(tokens.size(), targets.size());
  bool translating = false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] == form.separator) translating = true;
    if (tokens[i] == form.end) translating = false;
    if (!translating) targets[i] = kUncounted;
  }
}

}  // namespace reef::data
