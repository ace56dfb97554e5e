#pragma once
// What of a micro-batch a teacher is asked about. Windows of pairs (data/format/pairs.h) say by
// their targets where translations are:
//
//   source    s1 s2 s3 <|sep|> t1 t2 <|end|>  s1 ...        tokens
//              -  -  -   t1   t2 end     -     -            targets, as far as they count
//
//   target    <|sep|> t1 t2          at the places of these: what follows each
//   source    <|sep|> s1 s2          at the places of s1 and s2
//
// A teacher of one language sees a line of its language behind the separator, as it was trained,
// and never the other side. Where all targets count, a sequence is all of a window.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "scheduler/job/teaching.h"

namespace reef::actors {

/// Tokens that a teacher is shown, and where in the micro-batch what it says of each belongs: rows
/// of the logits.
struct Passage {
  std::vector<std::int32_t> tokens;
  /// By token; none: it was only shown.
  std::vector<std::optional<std::size_t>> places;
  bool operator==(const Passage&) const = default;
};

/// Of windows of `window` tokens, one after the other. Precondition: both spans are whole windows.
std::vector<Passage> passages_of(std::span<const std::int32_t> tokens,
                                 std::span<const std::int32_t> targets, std::size_t window,
                                 job::Teacher::Side side);

}  // namespace reef::actors
