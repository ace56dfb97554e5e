#pragma once
// Lines and their translations as a row of tokens that any decoder learns from:
//
//   source <|sep|> target <|end|>  source <|sep|> target <|end|>  <|end|> <|end|>
//   |------------------------------- a window ---------------------------------|
//
// A window holds whole pairs and is filled up with ends, so that what a token is follows from its
// window alone. Only the targets that belong to a translation count: a model of pairs is to
// translate, and not to guess what is to be translated.

#include <cstdint>
#include <span>
#include <string_view>

namespace reef::data {

/// Added tokens of the tokenizer.
inline constexpr std::string_view kSeparator = "<|sep|>";
inline constexpr std::string_view kEnd = "<|end|>";
inline constexpr std::uint32_t kMaxWindow = 1 << 20;

struct PairForm {
  std::uint32_t window = 0;  ///< tokens; a job's context
  std::int32_t separator = 0;
  std::int32_t end = 0;

  bool operator==(const PairForm&) const = default;
};

/// A target that counts for nothing.
inline constexpr std::int32_t kUncounted = -1;

/// Makes those targets kUncounted that are no part of a translation; its end is one. `tokens` are a
/// window, `targets` what follows each of them.
void leave_out_sources(const PairForm& form, std::span<const std::int32_t> tokens,
                       std::span<std::int32_t> targets);

}  // namespace reef::data
