#pragma once
// Work is cut by these constants and by nothing else: never by the number of threads.

#include <algorithm>
#include <cstdint>

#include "ops/tensor/context.h"

namespace reef::ops::cpu {

inline constexpr std::int64_t kElements = 16384;      ///< of an elementwise op; 64 KiB
inline constexpr std::int64_t kRows = 32;             ///< of an embedding and the like
inline constexpr std::int64_t kColumns = 64;          ///< of a sum over rows
inline constexpr std::int64_t kVocabularyRows = 512;  ///< of an embedding's gradient

/// How many rows of `columns` elements make a tile, for ops whose rows do not touch each other.
inline std::int64_t rows_a_tile(std::int64_t columns) {
  return std::max<std::int64_t>(1, kElements / (columns + 1));
}

/// Calls body(first, count) for each tile of `total`.
template <typename Body>
void for_tiles(Context& context, std::int64_t total, std::int64_t tile, const Body& body) {
  const std::int64_t tiles = (total + tile - 1) / tile;
  context.parallel_for(static_cast<std::size_t>(tiles), [&body, total, tile](std::size_t index) {
    const std::int64_t first = static_cast<std::int64_t>(index) * tile;
    body(first, std::min(tile, total - first));
  });
}

}  // namespace reef::ops::cpu
